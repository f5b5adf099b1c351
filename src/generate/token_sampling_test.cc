// Filters one by one, the draw's frequencies, and numbers that are refused. Agreement with a reference is in
// tests/golden.
#include "generate/token_sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"

namespace tessera::generate {
namespace {

/// Logits of these probabilities.
Tensor logits_of(const std::vector<double>& probabilities) { return at::tensor(probabilities).log().to(at::kFloat); }

std::vector<int32_t> left(const Tensor& logits, TokenSampling sampling) {
  if (sampling.temperature == 0) sampling.temperature = 1;
  std::vector<int32_t> ids;
  for (const Candidate& c : candidates(logits, sampling)) ids.push_back(c.id);
  return ids;
}

using Ids = std::vector<int32_t>;

TEST(TokenSampling, FiltersKeepTheMostLikelyTokens) {
  const Tensor logits = logits_of({0.1, 0.4, 0.05, 0.3, 0.15});
  EXPECT_EQ(left(logits, {}), (Ids{0, 1, 2, 3, 4}));
  EXPECT_EQ(left(logits, {.top_k = 2}), (Ids{1, 3}));
  EXPECT_EQ(left(logits, {.top_p = 0.6}), (Ids{1, 3}));
  EXPECT_EQ(left(logits, {.top_p = 0.75}), (Ids{1, 3, 4}));
  EXPECT_EQ(left(logits, {.top_p = 1e-9}), (Ids{1}));
  EXPECT_EQ(left(logits, {.min_p = 0.3}), (Ids{1, 3, 4}));
  EXPECT_EQ(left(logits, {.min_p = 1}), (Ids{1}));
  EXPECT_EQ(left(logits, {.top_k = 1000}), (Ids{0, 1, 2, 3, 4}));
}

TEST(TokenSampling, LaterFiltersSeeTheResultOfEarlierOnes) {
  const Tensor logits = logits_of({0.1, 0.4, 0.05, 0.3, 0.15});
  EXPECT_EQ(left(logits, {.top_k = 2, .top_p = 0.57}), (Ids{1}));          // .4 of .7 is .571
  EXPECT_EQ(left(logits, {.temperature = 0.5, .top_p = 0.55}), (Ids{1}));  // .16 of .285 is .561
}

TEST(TokenSampling, TopKKeepsTies) {
  EXPECT_EQ(left(logits_of({0.2, 0.2, 0.4, 0.2}), {.top_k = 2}), (Ids{0, 1, 2, 3}));
}

TEST(TokenSampling, TopKCountsRanksWhenTheTemperatureMakesAllEqual) {
  EXPECT_EQ(left(logits_of({0.1, 0.4, 0.2, 0.3}), {.temperature = 1e12, .top_k = 2}), (Ids{1, 3}));
}

TEST(TokenSampling, TopPKeepsManyTokensOfAFlatDistribution) {
  const Tensor logits = at::zeros({5000});
  EXPECT_EQ(left(logits, {.top_p = 0.5}).size(), 2500u);
}

/// What the filters leave, by sorting all.
Ids left_by_a_sort(const Tensor& logits, const TokenSampling& s) {
  struct Token {
    int32_t id;
    float logit;
    double weight;
  };
  std::vector<Token> tokens;
  const float most = logits.max().item<float>();
  for (int32_t id = 0; id < logits.numel(); ++id) {
    const auto logit = logits[id].item<float>();
    if (std::isfinite(logit)) tokens.push_back({id, logit, std::exp((double{logit} - most) / s.temperature)});
  }
  std::ranges::sort(tokens,
                    [](const Token& a, const Token& b) { return std::tie(b.logit, a.id) < std::tie(a.logit, b.id); });
  if (s.top_k > 0 && s.top_k < std::ssize(tokens))
    std::erase_if(tokens,
                  [least = tokens[static_cast<size_t>(s.top_k - 1)].logit](const Token& t) { return t.logit < least; });
  double total = 0, sum = 0;
  for (const Token& t : tokens) total += t.weight;
  Ids ids;
  for (const Token& t : tokens) {
    if ((s.top_p == 1 || sum < s.top_p * total) && t.weight >= s.min_p) ids.push_back(t.id);
    sum += t.weight;
  }
  std::ranges::sort(ids);
  return ids;
}

TEST(TokenSampling, FiltersKeepTheTokensOfAWholeSort) {
  at::manual_seed(4);
  for (const int64_t tokens : {1, 2, 63, 64, 65, 200, 3000}) {
    for (const double spread : {0.3, 2.0, 9.0}) {
      Tensor logits = at::randn({tokens}) * spread;
      if (tokens > 2) {
        logits[tokens / 2] = -INFINITY;
        logits[0] = logits[tokens - 1];
      }
      if (tokens == 3000) logits.narrow(0, 500, 200).fill_(logits.max());
      for (const TokenSampling& s : std::vector<TokenSampling>{{.temperature = 1, .top_p = 0.95},
                                                               {.temperature = 0.7, .top_p = 0.3},
                                                               {.temperature = 1.5, .top_p = 0.999},
                                                               {.temperature = 1, .top_k = 1},
                                                               {.temperature = 1, .top_k = 50},
                                                               {.temperature = 2, .top_k = 40, .top_p = 0.9},
                                                               {.temperature = 1, .top_k = 40, .min_p = 0.1},
                                                               {.temperature = 1, .top_k = 199},
                                                               {.temperature = 1, .min_p = 0.05},
                                                               {.temperature = 1, .top_p = 0.9, .min_p = 0.02}})
        EXPECT_EQ(left(logits, s), left_by_a_sort(logits, s)) << tokens << " tokens, spread " << spread;
    }
  }
}

TEST(TokenSampling, OnlyTokensThatMayBeDrawnAreDrawnFromManyPieces) {
  Tensor logits = at::full({2000}, -INFINITY);
  for (const int64_t id : {300, 301, 1100}) logits[id] = 1.0;
  std::map<int32_t, int> counts;
  for (uint64_t t = 0; t < 3000; ++t) ++counts[sample_token(logits, {.temperature = 1, .seed = 3}, 0, t)];
  ASSERT_EQ(counts.size(), 3u);
  for (const int32_t id : {300, 301, 1100}) EXPECT_NEAR(counts[id], 1000, 110) << id;
}

TEST(TokenSampling, DrawsEachTokenWithItsProbability) {
  const std::vector<double> probabilities = {0.1, 0.4, 0.05, 0.3, 0.15};
  const Tensor logits = logits_of(probabilities);
  std::vector<double> counts(5);
  const int draws = 20000;
  for (int t = 0; t < draws; ++t) {
    ++counts[static_cast<size_t>(sample_token(logits, {.temperature = 1, .seed = 9}, 0, static_cast<uint64_t>(t)))];
  }
  for (size_t i = 0; i < 5; ++i) {
    const double spread = std::sqrt(probabilities[i] * (1 - probabilities[i]) / draws);
    EXPECT_NEAR(counts[i] / draws, probabilities[i], 4 * spread);
  }
}

TEST(TokenSampling, WithoutFiltersDrawsEqualThoseOfFiltersThatKeepAll) {
  const Tensor logits = logits_of({0.1, 0.4, 0, 0.05, 0.3, 0.15});
  for (uint64_t t = 0; t < 500; ++t)
    EXPECT_EQ(sample_token(logits, {.temperature = 0.8, .seed = 2}, 1, t),
              sample_token(logits, {.temperature = 0.8, .top_k = 6, .seed = 2}, 1, t));
}

TEST(TokenSampling, ADrawIsAFunctionOfSeedRowAndToken) {
  const Tensor logits = at::zeros({100000});
  const auto draw = [&](uint64_t seed, uint64_t row, uint64_t token) {
    return sample_token(logits, {.temperature = 1, .seed = seed}, row, token);
  };
  EXPECT_EQ(draw(1, 2, 3), draw(1, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(2, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 3, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 2, 4));
}

TEST(TokenSampling, TemperatureNearZeroIsGreedy) {
  const Tensor logits = logits_of({0.1, 0.4, 0.05, 0.3, 0.15});
  for (const double temperature : {0.0, 1e-300, 1e-6})
    EXPECT_EQ(sample_token(logits, {.temperature = temperature}, 0, 0), 1);
}

TEST(TokenSampling, PenaltyDividesPositiveAndMultipliesNegativeLogits) {
  Tensor logits = at::tensor({2.0f, -2.0f, 1.0f, -1.0f});
  penalise(logits, {0, 1, -200, 4}, 2);
  EXPECT_TRUE(at::equal(logits, at::tensor({1.0f, -4.0f, 1.0f, -1.0f})));
}

TEST(TokenSampling, NaNAndAllBannedAreFaults) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::nanf(""), infinity}) {
    const Tensor logits = at::tensor({1.0f, bad, 2.0f});
    EXPECT_THROW(sample_token(logits, {}, 0, 0), FaultError);
    EXPECT_THROW(sample_token(logits, {.temperature = 1, .top_k = 2}, 0, 0), FaultError);
  }
  EXPECT_THROW(sample_token(at::tensor({-infinity, -infinity}), {.temperature = 1}, 0, 0), FaultError);
  EXPECT_EQ(sample_token(at::tensor({-infinity, 1.0f}), {.temperature = 1}, 0, 0), 1);
}

TEST(TokenSampling, RefusesNumbersOutOfRange) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  const std::vector<TokenSampling> bad = {{.repetition_penalty = 0},
                                          {.repetition_penalty = -1},
                                          {.repetition_penalty = infinity},
                                          {.temperature = -0.1},
                                          {.temperature = nan},
                                          {.temperature = infinity},
                                          {.top_k = -1},
                                          {.top_p = 0},
                                          {.top_p = 1.01},
                                          {.top_p = nan},
                                          {.min_p = -0.1},
                                          {.min_p = 1.1},
                                          {.min_p = nan}};
  for (const TokenSampling& sampling : bad) EXPECT_THROW(check(sampling), UserError);
  check(TokenSampling{.repetition_penalty = 1.2, .temperature = 2, .top_k = 5, .top_p = 1, .min_p = 1});
}

}  // namespace
}  // namespace tessera::generate
