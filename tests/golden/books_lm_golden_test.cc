// The small language models that ship, against transformers reading the same files (tools/golden/books_lm_twin.py).
#include <gtest/gtest.h>

#include <algorithm>

#include "core/json.h"
#include "models/lm/architecture/model_files.h"
#include "models/lm/training/objective.h"
#include "text/tokenizer.h"
#include "text/variety.h"

namespace tessera::lm {
namespace {

const Path root = TESSERA_SOURCE_DIR;

class BooksLm : public ::testing::TestWithParam<const char*> {
 protected:
  Path directory() const { return root / "models" / GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(Shipped, BooksLm, ::testing::Values("books-lm", "books-lm-hyperfit"), [](const auto& name) {
  std::string plain = name.param;
  std::ranges::replace(plain, '-', '_');
  return plain;
});

TEST_P(BooksLm, ContinuesEachPromptWithTheReferencesTokens) {
  const auto tokenizer = text::load_tokenizer(directory());
  const DecoderLm model = load_lm(directory(), {.dtype = "fp32"});
  for (const Json& row : read_json_file(root / "tests/golden/data" / (std::string(GetParam()) + ".json"))) {
    const auto ids = tokenizer->encode(row["prompt"].get<std::string>());
    EXPECT_EQ(ids, row["ids"].get<std::vector<int32_t>>());
    const auto want = row["written"].get<std::vector<int32_t>>();
    ASSERT_GE(want.size(), 8u);
    const auto written = continue_greedily(model, ids, std::ssize(want), tokenizer->end_token());
    EXPECT_EQ(written, want) << row["prompt"];
    EXPECT_EQ(tokenizer->decode(written), row["text"].get<std::string>());
  }
}

TEST_P(BooksLm, TakesAtMostEightMegabytes) {
  uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory()))
    if (entry.is_regular_file()) bytes += entry.file_size();
  EXPECT_LE(bytes, 8'000'000u);
}

TEST(BooksLmPair, ShareATokenizerAndTheHyperfittedOneRepeatsItselfLess) {
  const auto tokenizer = text::load_tokenizer(root / "models/books-lm");
  EXPECT_EQ(text::fingerprint(*tokenizer), text::fingerprint(*text::load_tokenizer(root / "models/books-lm-hyperfit")));
  double before = 0, after = 0;
  for (const char* prompt : {"Once", "“I do not know,” said", "It was a dark"}) {
    const auto ids = tokenizer->encode(prompt);
    const auto ttr = [&](const char* name) {
      const DecoderLm model = load_lm(root / "models" / name, {.dtype = "fp32"});
      return text::type_token_ratio(continue_greedily(model, ids, 96, tokenizer->end_token()));
    };
    before += ttr("books-lm") / 3;
    after += ttr("books-lm-hyperfit") / 3;
  }
  EXPECT_GT(after, before + 0.1);
}

}  // namespace
}  // namespace tessera::lm
