// generation_config.json as publishers write it, and as they should not.
#include "models/lm/text/writes.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "tests/support/scratch.h"

namespace tessera::lm {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

GenerationDefaults read(const std::string& generation, const std::string& config = "{}") {
  const tessera::testing::ScratchFolder scratch;
  if (!generation.empty()) write_file_atomically(scratch / "generation_config.json", generation);
  return generation_defaults(scratch.path(), parse_json(config, "config.json"));
}

TEST(GenerationDefaults, SamplingSettingsAreReadWhenTheModelSamples) {
  const GenerationDefaults d =
      read(R"({"do_sample": true, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.05,
               "eos_token_id": [7, 9], "transformers_version": "4"})",
           R"({"eos_token_id": 9})");
  EXPECT_EQ(d.sampling,
            (generate::TokenSampling{.repetition_penalty = 1.05, .temperature = 0.7, .top_k = 20, .top_p = 0.8}));
  EXPECT_EQ(d.end_tokens, (std::vector<int32_t>{7, 9}));
}

TEST(GenerationDefaults, WithoutDoSampleItIsGreedy) {
  EXPECT_EQ(read(R"({"temperature": 0.7, "top_p": 0.8})").sampling, generate::TokenSampling{});
  EXPECT_EQ(read("", R"({"eos_token_id": 3})").end_tokens, std::vector<int32_t>{3});
  EXPECT_EQ(read(R"({"do_sample": true})").sampling.temperature, 1);
  EXPECT_TRUE(read(R"({"eos_token_id": null, "top_k": null, "do_sample": true})").end_tokens.empty());
}

TEST(GenerationDefaults, WhoDrawsAnywayGetsTheNumbersWhateverTheFileSaysOfDrawing) {
  const generate::TokenSampling numbers{.repetition_penalty = 1.1, .temperature = 0.7, .top_k = 20, .top_p = 0.8};
  for (const char* draws : {"true", "false", "null"}) {
    const GenerationDefaults d =
        read(R"({"temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.1, "do_sample": )" +
             std::string(draws) + "}");
    EXPECT_EQ(d.drawn, numbers) << draws;
    EXPECT_EQ(d.sampling.repetition_penalty, 1.1) << draws;
  }
  EXPECT_EQ(read("").drawn, generate::TokenSampling{.temperature = 1});
  EXPECT_EQ(read(R"({"repetition_penalty": 1.1})").drawn,
            (generate::TokenSampling{.repetition_penalty = 1.1, .temperature = 1}));
  EXPECT_EQ(read(R"({"top_p": 0, "temperature": 0.7})").drawn, generate::TokenSampling{.temperature = 1});
}

TEST(GenerationDefaults, MalformedFilesAreRefusedByName) {
  for (const char* text :
       {"[]", "{", R"({"do_sample": 1})", R"({"do_sample": true, "top_p": 7})",
        R"({"do_sample": true, "temperature": "hot"})", R"({"eos_token_id": "x"})", R"({"repetition_penalty": 0})",
        R"({"eos_token_id": [-1]})", R"({"eos_token_id": [99999999999]})"}) {
    EXPECT_THAT([&] { read(text); }, ThrowsMessage<UserError>(HasSubstr("generation_config.json"))) << text;
  }
}

}  // namespace
}  // namespace tessera::lm
