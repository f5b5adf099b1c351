// Questions about Emoji World put to models that are right, wrong, or right for one kind.
#include "eval/emoji_qa.h"

#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "data/talk.h"

namespace tessera::eval {
namespace {

bool has_world() {
  const data::EmojiFiles files;
  return std::filesystem::exists(files.font) && std::filesystem::exists(files.emoji_test) &&
         std::filesystem::exists(files.cldr);
}
#define NEEDS_WORLD() \
  if (!has_world()) GTEST_SKIP() << "this machine has no emoji font or no Unicode files"

/// Gives prescribed answers and records the requests.
class ScriptedSees final : public Sees {
 public:
  using Say = std::function<std::string(const SeeRequest&)>;
  explicit ScriptedSees(Say say) : say_(std::move(say)) {}
  std::vector<Written> see(const std::vector<SeeRequest>& requests) const override {
    std::vector<Written> all;
    batches_.push_back(requests.size());
    for (const SeeRequest& request : requests) {
      all.emplace_back().continuation.text = say_(request);
      seen_.push_back(request);
    }
    return all;
  }
  int64_t default_frames() const override { return 3; }
  const std::vector<SeeRequest>& seen() const { return seen_; }
  const std::vector<size_t>& batches() const { return batches_; }

 private:
  Say say_;
  mutable std::vector<SeeRequest> seen_;
  mutable std::vector<size_t> batches_;
};

QaTask small_task() {
  return {
      .sources = {{.kind = "scene", .size = 48, .names = 40}, {.kind = "clip", .size = 32, .names = 40, .frames = 5}},
      .count = 30,
      .seed = 2,
      .batch = 8};
}

TEST(EmojiQa, AModelThatKnowsScoresOneAndOneThatSaysYesScoresTheShareOfYes) {
  NEEDS_WORLD();
  const ScriptedSees yes([](const SeeRequest&) { return " Yes.\n"; });
  const QaResult result = measure_emoji_qa(yes, small_task());
  int64_t expected = 0, counted = 0;
  for (const QaOutcome& outcome : result.outcomes) {
    expected += outcome.answer == "yes";
    EXPECT_EQ(outcome.right, outcome.answer == "yes") << outcome.question;
  }
  EXPECT_EQ(result.all.count, 30);
  EXPECT_EQ(result.all.right, expected);
  for (const auto& [name, share] : result.kinds) counted += share.count;
  EXPECT_EQ(counted, 30);

  size_t next = 0;
  const ScriptedSees knowing([&](const SeeRequest&) { return result.outcomes[next++].answer; });
  const QaResult all_right = measure_emoji_qa(knowing, small_task());
  EXPECT_EQ(all_right.all.right, 30) << "the same task asks the same questions";
}

TEST(EmojiQa, PicturesAndClipsAlternateWithOneQuestionEach) {
  NEEDS_WORLD();
  const ScriptedSees silent([](const SeeRequest&) { return ""; });
  const QaResult result = measure_emoji_qa(silent, small_task());
  EXPECT_EQ(silent.batches(), (std::vector<size_t>{8, 8, 8, 6}));
  std::set<std::pair<std::string, uint64_t>> pictures;
  for (size_t i = 0; i < silent.seen().size(); ++i) {
    const Media& media = silent.seen()[i].media.at(0);
    EXPECT_EQ(media.clip, i % 2 == 1);
    EXPECT_EQ(media.frames.size(), i % 2 == 1 ? 3u : 1u) << "as many frames as the model was made for";
    EXPECT_EQ(silent.seen()[i].messages.back().content, result.outcomes[i].question);
    pictures.emplace(result.outcomes[i].source, result.outcomes[i].index);
  }
  EXPECT_EQ(pictures.size(), 30u);
  EXPECT_EQ(result.all.right, 0);
}

TEST(EmojiQa, OnlyQuestionsOfTheChosenKindsAreAsked) {
  NEEDS_WORLD();
  QaTask task = small_task();
  task.kinds = {"count"};
  const ScriptedSees silent([](const SeeRequest&) { return ""; });
  for (const QaOutcome& outcome : measure_emoji_qa(silent, task).outcomes) EXPECT_EQ(outcome.kind, "count");
  task.kinds = {"weather"};
  EXPECT_THROW(measure_emoji_qa(silent, task), UserError);
}

TEST(SameAnswer, IgnoresCaseBlanksAndAFullStop) {
  EXPECT_TRUE(same_answer(" Red Apple. ", "red apple"));
  EXPECT_FALSE(same_answer("red apples", "red apple"));
  EXPECT_FALSE(same_answer("", "red apple"));
}

}  // namespace
}  // namespace tessera::eval
