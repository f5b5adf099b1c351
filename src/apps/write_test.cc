// The verb `write`: what it prints, that a seed repeats it, and that errors are reported before anything is loaded.
#include "apps/write.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>

#include "apps/text_request.h"
#include "apps/text_testing.h"
#include "core/error.h"
#include "core/interrupt.h"

namespace tessera::apps {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::ThrowsMessage;

class WriteVerb : public ::testing::Test {
 protected:
  WriteVerb() {
    options.model = model.directory();
    options.prompt = {"once upon"};
    options.sampling.max_new_tokens = 8;
    options.compute.device = "cpu";
  }
  std::string printed() const {
    ::testing::internal::CaptureStdout();
    const int status = run_write(options);
    const std::string out = ::testing::internal::GetCapturedStdout();
    EXPECT_EQ(status, 0);
    return out;
  }
  Json json() {
    options.output.json = true;
    return parse_json(printed(), "output");
  }
  void expect_status(int wanted) const {
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(run_write(options), wanted);
    EXPECT_NE(::testing::internal::GetCapturedStdout(), "");
  }
  void expect_refused(const std::string& because) const {
    EXPECT_THAT([&] { run_write(options); }, ThrowsMessage<UserError>(HasSubstr(because)));
  }

  TinyTextModel model;
  WriteOptions options;
};

TEST_F(WriteVerb, TextThatCtrlCEndedIsShownAndNotCalledDone) {
  const InterruptGuard outer;
  InterruptGuard::raise();
  options.sampling.max_new_tokens = 40;
  expect_status(interrupted_status);
}

TEST_F(WriteVerb, StreamedOutputEqualsTheWholeOutput) {
  const std::string streamed = printed();
  EXPECT_THAT(streamed, StartsWith("once upon"));
  options.stream = false;
  EXPECT_EQ(printed(), streamed);
  options.echo = false;
  EXPECT_EQ("once upon" + printed(), streamed);
  EXPECT_EQ("once upon" + json()["texts"][0].get<std::string>() + "\n", streamed);
}

TEST_F(WriteVerb, JsonIsOneObjectWithAllResults) {
  options.prompt = {"once", "the cat"};
  options.count = 2;
  options.sampling.temperature = 1;
  const Json said = json();
  EXPECT_EQ(said["texts"].size(), 4u);
  EXPECT_EQ(said["prompts"][3], "the cat");
  EXPECT_EQ(said["tokens"][0].size(), 8u);
  EXPECT_EQ(said["reasons"][0], "length");
  EXPECT_GT(said["first_token_seconds"].get<double>(), 0);
  EXPECT_GT(said["tokens_per_second"].get<double>(), 0);
  EXPECT_NE(said["tokens"][0], said["tokens"][1]);
  EXPECT_EQ(json()["tokens"], said["tokens"]);
  options.compute.seed = 1;
  EXPECT_NE(json()["tokens"], said["tokens"]);
}

TEST_F(WriteVerb, ADashIsThePromptOfStandardInput) {
  const Json named = json();
  options.prompt = {"-"};
  const StandardInput input("once upon\n");
  const Json piped = json();
  EXPECT_EQ(piped["prompts"], named["prompts"]);
  EXPECT_EQ(piped["tokens"], named["tokens"]);
}

TEST_F(WriteVerb, PromptsOfAFileEqualThoseOfTheCommandLine) {
  std::ofstream(model / "prompts.txt") << "once upon\r\n\n  \nthe\\ncat\n";
  const Json alone = json();
  options.prompt = {};
  options.prompts = model / "prompts.txt";
  options.escapes = true;
  const Json both = json();
  EXPECT_EQ(both["prompts"], (Json{"once upon", "the\ncat"}));
  EXPECT_EQ(both["tokens"][0], alone["tokens"][0]);
}

TEST_F(WriteVerb, AStopTextEndsTheText) {
  options.sampling.max_new_tokens = 40;
  const std::string free = json()["texts"][0];
  const auto plain = [](char c) { return c >= ' ' && c <= '~' && c != '\\'; };
  const auto found = std::find_if(free.begin() + std::ssize(free) / 2, free.end(), plain);
  ASSERT_NE(found, free.end()) << "no plain character in the second half of: " << free;
  const std::string stop(1, *found);
  options.sampling.stop = {stop};
  const Json stopped = json();
  EXPECT_EQ(stopped["texts"][0], free.substr(0, free.find(stop)));
  EXPECT_EQ(stopped["reasons"][0], "stop");
}

TEST_F(WriteVerb, DtypeAndCacheFlagsReachTheModel) {
  options.sampling.max_new_tokens = 40;
  const auto of_library = [&](const LoadOptions& load) {
    const auto loaded = load_model(model.directory(), at::kCPU, load);
    return loaded->writes()->write({"once upon"}, {.max_new_tokens = 40}).front().continuation.tokens;
  };
  for (const LoadOptions& load : {LoadOptions{.dtype = "bf16"}, LoadOptions{.dtype = "fp32", .cache_int8 = true}}) {
    options.memory = {.dtype = load.dtype, .exact = load.exact, .cache_int8 = load.cache_int8};
    EXPECT_EQ(json()["tokens"][0], of_library(load)) << load.dtype;
  }
  // drawn at random, many tokens stand near the border between two of them
  options.sampling.temperature = 1.5;
  options.count = 16;
  options.memory = {.dtype = "fp32"};
  const Json drawn = json()["tokens"];
  EXPECT_EQ(json()["tokens"], drawn);
  options.memory = {.dtype = "bf16"};
  EXPECT_NE(json()["tokens"], drawn) << "rounding to bf16 shows in none of 640 tokens";
  options.memory = {.dtype = "fp32", .cache_int8 = true};
  EXPECT_NE(json()["tokens"], drawn) << "rounding to 8 bits shows in none of 640 tokens";
}

TEST_F(WriteVerb, NumbersOutOfRangeAreRefusedBeforeTheModelIsLoaded) {
  options.model = "no such directory";
  options.sampling.top_p = 2;
  expect_refused("top-p is 2, want a number above 0, at most 1");
  options.sampling.top_p.reset();
  options.sampling.max_new_tokens = 0;
  expect_refused("max-new-tokens is 0");
  options.sampling.max_new_tokens = 1;
  options.sampling.stop = {""};
  expect_refused("a stop text is empty");
  options.sampling.stop = {};
  options.memory.dtype = "int3";
  expect_refused("--dtype is 'int3', want one of: auto, fp32, bf16");
  options.count = 0;
  expect_refused("--count is 0");
  options.prompt = {};
  expect_refused("no prompt");
}

TEST_F(WriteVerb, APromptOverTheContextReportsByHowMuch) {
  options.prompt = {std::string(100, 'z')};
  expect_refused("the context is 64: ");
}

TEST_F(WriteVerb, ADamagedDirectoryIsReported) {
  std::filesystem::remove(model.directory() / "tokenizer.json");
  expect_refused("no tokenizer");
}

TEST(TextRequest, FlagsOverrideTheModelsOwnSampling) {
  const generate::TokenSampling own{.temperature = 0.7, .top_k = 20, .top_p = 0.8};
  EXPECT_EQ(text_options({}, own, 0).sampling, own);
  EXPECT_EQ(text_options({}, {}, 0).sampling.temperature, 0);
  SamplingOptions flags;
  flags.top_p = 0.5;
  EXPECT_EQ(text_options(flags, own, 0).sampling,
            (generate::TokenSampling{.temperature = 0.7, .top_k = 20, .top_p = 0.5}));
  EXPECT_EQ(text_options(flags, {}, 0).sampling.temperature, 1);
  flags.temperature = 0;
  EXPECT_EQ(text_options(flags, own, 0).sampling.temperature, 0);
}

TEST(TextRequest, ASummarySaysWhatEndedTheTexts) {
  Written written{.prompt_tokens = 10};
  written.continuation.tokens = {1, 2};
  const auto ended = [&](generate::StopReason reason, int64_t context) {
    written.continuation.reason = reason;
    const std::string text = summary_of({written}, context);
    return text.substr(text.find("; ") + 2);
  };
  using generate::StopReason;
  EXPECT_EQ(ended(StopReason::caller, 12), "stopped");
  EXPECT_EQ(ended(StopReason::length, 12), "ended by the context of 12");
  EXPECT_EQ(ended(StopReason::length, 13), "ended by length");
  EXPECT_EQ(ended(StopReason::length, 0), "ended by length");
  EXPECT_EQ(ended(StopReason::end_token, 12), "ended by end");
}

TEST(TextRequest, EscapesAreReplaced) { EXPECT_EQ(unescaped("a\\nb\\tc\\\\n\\x\\"), "a\nb\tc\\n\\x\\"); }

}  // namespace
}  // namespace tessera::apps
