// Answers through the registry: the cached decoding gives what whole passes give, batches give what single requests give.
#include "models/nvila/sees.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "models/nvila/testing.h"

namespace tessera::nvila {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class NvilaSees : public ::testing::Test {
 protected:
  static Path saved(const std::string& mode, int64_t context = 512) {
    const std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    const Path directory = Path(::testing::TempDir()) / fmt::format("nvila-sees-{}-{}-{}", test, mode, context);
    NvilaConfig config = tiny_config(mode);
    config.text.context = context;
    save_model(outspoken_nvila(config), StoredAs::f32, directory,
               Path(TESSERA_SOURCE_DIR) / "tests/golden/data/nvila-flat");
    return directory;
  }
  static SeeRequest request(const std::string& question, std::vector<Media> media, int64_t tokens = 8) {
    SeeRequest r{.messages = {{"user", question, std::ssize(media)}}, .media = std::move(media)};
    r.options.max_new_tokens = tokens;
    return r;
  }
};

TEST_F(NvilaSees, GreedyTokensEqualThoseOfUncachedPasses) {
  const at::NoGradGuard no_grad;
  for (const char* mode : {"single", "dynamic", "dynamic_s2"}) {
    const auto loaded = load_model(saved(mode), at::kCPU);
    ASSERT_NE(loaded->sees(), nullptr);
    const auto& nvila = dynamic_cast<const LoadedNvila&>(*loaded);
    const SeeRequest asked = request("what is it?", {picture_of(1, 50, 24)});
    const Written written = loaded->sees()->see({asked}).front();
    const std::vector<MediaPlan> plans = plans_of(nvila.model().config, asked.media);
    PromptRow row = nvila.prompter().row(asked.messages, plans, true);
    EXPECT_EQ(written.prompt_tokens, std::ssize(row.ids));
    for (const int32_t token : written.continuation.tokens) {
      const Assembled whole =
          assemble({row}, {pixels_of(nvila.model().config, asked.media[0], plans[0])}, plans, at::kCPU);
      const Tensor last = nvila.model().logits(whole)[0][-1];
      EXPECT_EQ(last.slice(0, 0, loaded->writes()->tokenizer().vocabulary()).argmax().item<int64_t>(), token) << mode;
      row.ids.push_back(token);
      row.learnt.push_back(false);
    }
  }
}

TEST_F(NvilaSees, ABatchOfDifferentRequestsEqualsEachAlone) {
  const auto loaded = load_model(saved("dynamic"), at::kCPU);
  std::vector<SeeRequest> requests = {
      request("what?", {picture_of(1, 50, 24)}), request("hello", {}), request("which way?", {clip_of(3, 4)}),
      request("same?", {picture_of(5), picture_of(6)}), request("short", {picture_of(7)}, 2)};
  const std::vector<Written> together = loaded->sees()->see(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    const Written alone = loaded->sees()->see({requests[i]}).front();
    EXPECT_EQ(together[i].continuation.tokens, alone.continuation.tokens) << i;
    EXPECT_EQ(together[i].prompt_tokens, alone.prompt_tokens) << i;
  }
  EXPECT_NE(together[0].continuation.tokens, together[1].continuation.tokens);  // or the test could not fail
  EXPECT_NE(together[2].continuation.tokens, together[3].continuation.tokens);
}

TEST_F(NvilaSees, WordsMediaAndNewTokensTogetherNeverExceedTheContext) {
  for (const char* mode : {"single", "dynamic", "dynamic_s2"}) {
    const SeeRequest asked = request("what is it?", {picture_of(1, 50, 24)}), hello = request("hello", {});
    const auto roomy = load_model(saved(mode), at::kCPU);
    const Written free = roomy->sees()->see({asked}).front();
    ASSERT_GT(free.continuation.tokens.size(), 3u) << mode;
    const int64_t context = free.prompt_tokens + 3;
    const auto tight = load_model(saved(mode, context), at::kCPU);
    const std::vector<Written> answers = tight->sees()->see({hello, asked});
    const std::vector<int32_t>& tokens = free.continuation.tokens;
    EXPECT_THAT(answers[1].continuation.tokens, ElementsAreArray(tokens.begin(), tokens.begin() + 3)) << mode;
    EXPECT_EQ(answers[1].continuation.reason, generate::StopReason::length) << mode;
    EXPECT_EQ(answers[0].continuation.tokens, roomy->sees()->see({hello}).front().continuation.tokens)
        << "the other request has room of its own";

    SeeRequest limited = asked;  // by the caller instead of the model
    limited.options.context = context;
    EXPECT_EQ(roomy->sees()->see({limited}).front().continuation.tokens.size(), 3u) << mode;
  }
}

TEST_F(NvilaSees, APromptOverTheContextReportsByHowMuch) {
  const auto loaded = load_model(saved("dynamic"), at::kCPU);
  SeeRequest asked = request("what is it?", {picture_of(1, 50, 24)});
  const int64_t positions = loaded->sees()->see({asked}).front().prompt_tokens;
  for (const int64_t missing : {1, 2, 5}) {
    asked.options.context = positions + 1 - missing;
    const std::string words = fmt::format("the context is {}: {} too many", asked.options.context, missing);
    EXPECT_THAT([&] { loaded->sees()->see({asked}); }, ThrowsMessage<UserError>(HasSubstr(words)));
  }
}

TEST_F(NvilaSees, TheModelWritesAndChatsToo) {
  const auto loaded = load_model(saved("single"), at::kCPU);
  ASSERT_NE(loaded->writes(), nullptr);
  generate::TextOptions options{.max_new_tokens = 5};
  const std::vector<text::Message> messages = {{"user", "hello"}};
  const Written said = loaded->writes()->chat(messages, options);
  EXPECT_EQ(said.continuation.tokens, loaded->sees()->see({request("hello", {}, 5)}).front().continuation.tokens);
  EXPECT_EQ(loaded->writes()->write({"once"}, options).size(), 1u);
}

TEST_F(NvilaSees, RefusesConversationsWithoutAUsersTurn) {
  const auto loaded = load_model(saved("single"), at::kCPU);
  const auto refused = [&](SeeRequest bad, const char* words) {
    EXPECT_THAT([&] { loaded->sees()->see({bad}); }, ThrowsMessage<UserError>(HasSubstr(words)));
  };
  refused(request("what?", {clip_of(1, 3)}), "clip.mp4: 3 frames cannot be pooled by 2");
  refused(request(std::string(3000, 'z'), {picture_of(1)}), "too many");
  SeeRequest no_turn = request("what?", {});
  no_turn.messages.push_back({"assistant", "it"});
  refused(no_turn, "must end with a user's turn");
  SeeRequest unspoken = request("what?", {picture_of(1)});
  unspoken.messages[0].media = 0;
  refused(unspoken, "1 pictures and clips were given");
}

}  // namespace
}  // namespace tessera::nvila
