// Mutations of tokenizer files: each is read or refused in one line, and what was read encodes and decodes.
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files.h"
#include "tests/fuzz/mutate.h"
#include "tests/support/scratch.h"
#include "text/byte_level_bpe.h"
#include "text/sentencepiece_encoder.h"
#include "text/testing.h"

namespace tessera::testing {
namespace {

using Words = std::vector<std::string>;

/// Runs `read`; true when it did not refuse. A refusal must be one line.
template <class Read> bool survives(Read read) {
  try {
    read();
    return true;
  } catch (const UserError& error) {
    const std::string words = error.what();
    EXPECT_EQ(words.find('\n'), std::string::npos) << words;
    EXPECT_LT(words.size(), 2000u);
    return false;
  }
}

TEST(TokenizerFuzz, MutatedTokenizerJsonIsReadOrRefused) {
  Json llama = text::testing::written_out();
  llama["pre_tokenizer"] = parse_json(
      R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}| ?\\p{L}+|\\s+(?!\\S)|\\s+"},
          "behavior": "Isolated", "invert": false}, {"type": "Digits", "individual_digits": true}, {"type": "ByteLevel", "use_regex": false}]})",
      "test");
  llama["post_processor"] = parse_json(
      R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<end>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
          "special_tokens": {"<end>": {"id": "<end>", "ids": [6], "tokens": ["<end>"]}}})",
      "test");
  llama["model"]["merges"] = parse_json(R"([["a", "b"], ["ab", "c"]])", "test");
  const Words corpus = {text::testing::written_out().dump(), llama.dump()};
  const Words words = {"null",    "true",        "-1", "4294967296",  "\"type\"", "\"Sequence\"",
                       "\"a b\"", "\"ids\":[9]", "[]", "{}",          "\"\"",     "\"ignore_merges\":true,",
                       "\\p{",    "(?",          "+",  "\"Removed\"", "\\u0000",  "\xFF"};
  int accepted = 0;
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    Rng rng(seed, 77);
    const std::string json = mutate(corpus, words, rng);
    accepted += survives([&] {
      const text::ByteLevelBpe tokenizer(text::parse_loose_json(json, "mutated"), {}, "mutated");
      const auto ids = tokenizer.encode("abc <end> ab 12\xFF c", {});
      tokenizer.decode(ids, false);
    });
  }
  EXPECT_GT(accepted, 20);
  EXPECT_LT(accepted, 2900);
}

TEST(TokenizerFuzz, MutatedConfigIsReadOrRefused) {
  const ScratchFolder folder(ScratchFolder::On::memory);
  text::testing::make_tokenizer(folder.path());
  const Words corpus = {read_file(folder / "tokenizer_config.json"),
                        R"({"bos_token": {"content": "<|begin|>"}, "add_bos_token": true})"};
  for (uint64_t seed = 0; seed < 500; ++seed) {
    Rng rng(seed, 78);
    write_file_atomically(folder / "tokenizer_config.json",
                          mutate(corpus, {"null", "-1", "\"0\"", "{}", "[]", "\"content\""}, rng));
    survives([&] { text::load_tokenizer(folder.path())->encode("the cat", {}); });
  }
}

TEST(TokenizerFuzz, MutatedSentencePieceFilesAreReadOrRefused) {
  const Path data = Path(TESSERA_SOURCE_DIR) / "tests/golden/data/text";
  const Words corpus = {read_file(data / "gemma/tokenizer.model"), read_file(data / "t5/spiece.model")};
  int accepted = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rng rng(seed, 79);
    const std::string bytes = mutate(corpus, {std::string(1, '\0'), "\xFF\xFF\xFF\xFF\x0F", "\x0A", "\x12"}, rng);
    accepted += survives([&] {
      std::vector<int32_t> ids;
      text::SentencePieceEncoder(text::read_sentencepiece_file(bytes, "mutated"))
          .encode("the cat, \xE7\x8C\xAB 12 \xEF\xAC\x81", ids);
    });
  }
  EXPECT_LT(accepted, 290);
}

}  // namespace
}  // namespace tessera::testing
