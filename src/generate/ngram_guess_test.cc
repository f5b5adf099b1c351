// Guesses change how many steps are taken and no id.
#include "generate/ngram_guess.h"

#include <gtest/gtest.h>

#include "generate/testing.h"

namespace tessera::generate {
namespace {

using testing::noise;
using testing::ToySteps;

TEST(NgramGuess, FindsWhatFollowedTheLatestLongestEnding) {
  EXPECT_EQ(continuation_seen({1, 2, 3, 4, 1, 2, 3, 5, 9, 2, 3}, 3, 2, 4), (std::vector<int32_t>{5, 9, 2, 3}));
  EXPECT_EQ(continuation_seen({7, 1, 2, 3, 8, 9, 2, 3, 4, 1, 2, 3}, 3, 2, 2),
            (std::vector<int32_t>{8, 9}));  // three before two
  EXPECT_EQ(continuation_seen({5, 5, 5}, 3, 2, 4), (std::vector<int32_t>{5}));
  EXPECT_TRUE(continuation_seen({1, 2, 3}, 3, 2, 4).empty());
  EXPECT_TRUE(continuation_seen({}, 3, 2, 4).empty());
  EXPECT_TRUE(continuation_seen({1}, 3, 1, 4).empty());
}

/// Ids of sequences that are run with or without guesses, and the passes that it took.
std::pair<std::vector<std::vector<int32_t>>, size_t> written(const ToySteps::Model& model, double temperature,
                                                             bool guessing, std::vector<int32_t> end_tokens = {}) {
  ToySteps steps(model);
  IdLoop loop(steps);
  std::vector<std::unique_ptr<Sequence>> all;
  std::vector<Sequence*> rows;
  for (uint64_t r = 0; r < 2; ++r) {
    SequenceOptions options{.sampling = {.temperature = temperature, .seed = 3},
                            .stream = r,
                            .max_new_tokens = 40 + static_cast<int64_t>(r) * 7,
                            .end_tokens = end_tokens};
    all.push_back(std::make_unique<Sequence>(Prompt{.ids = {1, 2, 3, static_cast<int32_t>(r)}}, options));
    rows.push_back(all.back().get());
  }
  loop.join(rows);
  NgramGuess guess;
  while (guessing ? loop.step(guess) : loop.step()) {
  }
  std::vector<std::vector<int32_t>> ids;
  for (const auto& one : all) ids.push_back(one->new_ids());
  if (end_tokens.empty()) {
    EXPECT_EQ(loop.drawn(), std::ssize(ids[0]) + std::ssize(ids[1]));
  }
  return {ids, steps.passes().size()};
}

TEST(NgramGuess, TheSameIdsInFewerStepsWhereTextRepeatsItself) {
  // the next id is a function of the last one, so that every text runs into a circle
  const ToySteps::Model circle = [](const std::vector<int32_t>& tokens) {
    Tensor logits = at::full({8}, -1.0f);
    logits[(tokens.back() * 3 + 1) % 7] = 5.0f;
    return logits;
  };
  const auto [plain, steps] = written(circle, 0, false);
  const auto [guessed, fewer] = written(circle, 0, true);
  EXPECT_EQ(plain, guessed);
  EXPECT_LT(2 * fewer, steps);
}

TEST(NgramGuess, TheSameIdsWhereGuessesAreOftenWrong) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (const double temperature : {0.0, 1.0}) {
      const auto model = noise(3, seed);  // few ids, so that something is always guessed
      EXPECT_EQ(written(model, temperature, false).first, written(model, temperature, true).first) << seed;
      EXPECT_EQ(written(model, temperature, false, {2}).first, written(model, temperature, true, {2}).first) << seed;
    }
  }
}

}  // namespace
}  // namespace tessera::generate
