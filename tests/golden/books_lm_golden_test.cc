// The small language model that ships, against transformers reading the same files (tools/golden/books_lm_twin.py).
#include <gtest/gtest.h>

#include "core/json.h"
#include "models/lm/model_files.h"
#include "models/lm/objective.h"
#include "text/tokenizer.h"

namespace tessera::lm {
namespace {

const Path root = TESSERA_SOURCE_DIR;

TEST(BooksLm, ContinuesEachPromptWithExactlyTheReferencesWords) {
  const auto tokenizer = text::load_tokenizer(root / "models/books-lm");
  const DecoderLm model = load_lm(root / "models/books-lm", {.dtype = "fp32"});
  for (const Json& row : read_json_file(root / "tests/golden/data/books-lm.json")) {
    const auto ids = tokenizer->encode(row["prompt"].get<std::string>());
    EXPECT_EQ(ids, row["ids"].get<std::vector<int32_t>>());
    const auto want = row["written"].get<std::vector<int32_t>>();
    ASSERT_GE(want.size(), 8u);
    const auto written = continue_greedily(model, ids, std::ssize(want), tokenizer->end_token(), at::kCPU);
    EXPECT_EQ(written, want) << row["prompt"];
    EXPECT_EQ(tokenizer->decode(written), row["text"].get<std::string>());
  }
}

TEST(BooksLm, TakesAtMostEightMegabytes) {
  uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "models/books-lm"))
    if (entry.is_regular_file()) bytes += entry.file_size();
  EXPECT_LE(bytes, 8'000'000u);
}

}  // namespace
}  // namespace tessera::lm
