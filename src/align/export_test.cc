// Which of a prompt's answers are learned, and what is exported.
#include "align/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/scratch.h"

namespace tessera::align {
namespace {

using ::testing::HasSubstr;

ScoredAnswer answer(const std::string& text, double score, bool finished = true, double mass = 1) {
  ScoredAnswer scored{.score = score, .mass = mass};
  scored.answer.text = text;
  scored.answer.finished = finished;
  return scored;
}

TEST(BestAnswers, TheBestOneEndedByItselfAndWasScored) {
  EXPECT_EQ(best_of({answer("cut", 9, false), answer("", 8), answer("silent", 7, true, 0), answer("good", 6)}), 3);
  EXPECT_EQ(best_of({answer("cut", 9, false)}), -1);
  EXPECT_EQ(best_row({.id = 1, .text = "p"}, {answer("cut", 9, false)}, BestForm::conversations, 1), "");
}

TEST(BestAnswers, TheWorseOneOfAPairIsRankedBehindTheBestAndSaysSomethingElse) {
  const std::vector<ScoredAnswer> answers = {answer("cut", 9, false), answer("best", 8),  answer("best", 7),
                                             answer("", 6),           answer("third", 5), answer("fourth", 4)};
  std::set<std::string> rejected;
  for (int64_t id = 1; id <= 60; ++id) {
    const Json row = Json::parse(best_row({.id = id, .text = "p"}, answers, BestForm::pairs, 3));
    EXPECT_EQ(row["chosen"], "best");
    rejected.insert(row["rejected"]);
  }
  EXPECT_EQ(rejected, (std::set<std::string>{"third", "fourth"}));
  EXPECT_EQ(best_row({.id = 1, .text = "p"}, {answer("best", 8), answer("best", 7)}, BestForm::pairs, 3), "")
      << "nothing to prefer it to";
}

TEST(BestAnswers, AreExportedInBothForms) {
  const tessera::testing::ScratchFolder scratch;
  Store store(scratch / "store.sqlite");
  store.add_prompts({{.text = "ask", .origin = "synthetic"}}, {{"recipe", "{}"}});
  store.add_answers({{.prompt = 1, .round = 1, .model = "a", .number = 0, .text = "bad", .finished = true},
                     {.prompt = 1, .round = 1, .model = "a", .number = 1, .text = "good", .finished = true}});
  store.add_scores(
      {{.answer = 1, .judge = "judge", .score = 2, .mass = 1}, {.answer = 2, .judge = "judge", .score = 8, .mass = 1}});
  EXPECT_EQ(export_best(store, BestForm::conversations, scratch / "sft.jsonl"), 1);
  EXPECT_THAT(read_file(scratch / "sft.jsonl"), HasSubstr(R"({"role":"assistant","content":"good"})"));
  EXPECT_EQ(export_best(store, BestForm::pairs, scratch / "pairs.jsonl"), 1);
  EXPECT_EQ(read_file(scratch / "pairs.jsonl"), "{\"prompt\":\"ask\",\"chosen\":\"good\",\"rejected\":\"bad\"}\n");
}

}  // namespace
}  // namespace tessera::align
