// Perplexity of models whose every probability is known.
#include "eval/perplexity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "eval/testing.h"

namespace tessera::eval {
namespace {

using testing::ToyWriter;

TEST(Perplexity, OfAUniformModelIsItsVocabularySize) {
  const ToyWriter uniform([](const auto&, int32_t) { return -std::log(257.0); }, 16);
  const PerplexityResult result = measure_perplexity(uniform, {.documents = {std::string(100, 'a'), "hello", "", "x"}});
  EXPECT_NEAR(result.perplexity, 257, 1e-9);
  EXPECT_NEAR(result.bits_per_byte, std::log2(257.0), 1e-9);  // a token is a byte here
  EXPECT_EQ(result.tokens, 99 + 4) << "a first token has nothing before it";
  EXPECT_EQ(result.bytes, 99 + 4);
  EXPECT_NEAR(result.nats_interval.high - result.nats_interval.low, 0, 1e-9);
}

TEST(Perplexity, EveryTokenIsScoredOnceAfterTheTokensBeforeIt) {
  std::vector<int> seen(60, 0);
  std::string text;
  for (int i = 0; i < 60; ++i) text += static_cast<char>(' ' + i);
  for (const auto& [window, stride] :
       std::vector<std::pair<int64_t, int64_t>>{{8, 3}, {8, 8}, {8, 1}, {59, 7}, {16, 0}, {0, 0}}) {
    std::fill(seen.begin(), seen.end(), 0);
    const ToyWriter writer(
        [&](const std::vector<int32_t>& before, int32_t next) {
          ++seen[static_cast<size_t>(next - ' ')];
          EXPECT_EQ(before.back(), next - 1);
          return -1.0;
        },
        20 + (window == 59 ? 39 : 0));
    const PerplexityResult result =
        measure_perplexity(writer, {.documents = {text}, .window = window, .stride = stride});
    EXPECT_EQ(result.tokens, 59);
    EXPECT_EQ(seen[0], 0);
    for (size_t i = 1; i < seen.size(); ++i) EXPECT_EQ(seen[i], 1) << i << " with window " << window;
    EXPECT_EQ(writer.longest(), window == 0 ? 20 : window) << "stride " << stride;
  }
}

TEST(Perplexity, TheDocumentsAreTheSameWhateverEndsTheirLinesAndMarksTheirBeginning) {
  const Path folder = Path(::testing::TempDir()) / "perplexity_documents";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  write_file_atomically(folder / "a.txt", "one\ntwo\n");
  write_file_atomically(folder / "b.txt", "one\r\ntwo\r\n");
  write_file_atomically(folder / "c.txt", "\xEF\xBB\xBFone\rtwo\r");
  write_file_atomically(folder / "d.txt", std::string("\xFF\xFEo\0n\0e\0\n\0t\0w\0o\0\n\0", 18));
  EXPECT_EQ(read_documents(folder), std::vector<std::string>(4, "one\ntwo\n"));
  write_file_atomically(folder / "e.txt", std::string("o\0n\0", 4));
  EXPECT_THROW(read_documents(folder), UserError);
}

TEST(Perplexity, AShorterStrideGivesTokensMoreContext) {
  // more context makes it more certain: nats = 1 / tokens before
  const ToyWriter learner(
      [](const std::vector<int32_t>& before, int32_t) { return -1.0 / static_cast<double>(before.size()); }, 32);
  const std::vector<std::string> text{std::string(500, 'a')};
  const double far = measure_perplexity(learner, {.documents = text, .stride = 32}).nats_per_token;
  const double near = measure_perplexity(learner, {.documents = text, .stride = 4}).nats_per_token;
  EXPECT_LT(near, far);
}

TEST(Perplexity, WindowsThatDoNotFitAreRefused) {
  const ToyWriter writer([](const auto&, int32_t) { return -1.0; }, 16);
  EXPECT_THROW(measure_perplexity(writer, {.documents = {"abc"}, .window = 17}), UserError);
  EXPECT_THROW(measure_perplexity(writer, {.documents = {"abc"}, .window = 8, .stride = 9}), UserError);
  EXPECT_THROW(measure_perplexity(writer, {.documents = {"", "a"}}), UserError);
}

}  // namespace
}  // namespace tessera::eval
