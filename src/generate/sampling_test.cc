// Sampling by its frequencies and limits.
#include "generate/scale_loop.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"

namespace tessera::generate {
namespace {

/// Two logits whose bit is one with probability p.
Tensor logits_of(double p, std::vector<int64_t> shape) {
  shape.push_back(2);
  Tensor logits = at::zeros(shape);
  logits.select(-1, 1).fill_(std::log(p / (1 - p)));
  return logits;
}

double share_of_ones(double p, const BitSampling& options) {
  return sample_bits(logits_of(p, {1, 200, 50}), options).to(at::kFloat).mean().item<double>();
}

TEST(SampleBits, DrawsOnesWithTheProbabilityOfTheLogits) {
  for (const double p : {0.1, 0.5, 0.8})
    EXPECT_NEAR(share_of_ones(p, {.seed = 3}), p, 0.015);  // 10,000 draws: 3 deviations
}

TEST(SampleBits, LogitsThatAreNoNumbersAreRefused) {
  Tensor logits = logits_of(0.5, {2, 3, 4});
  logits[1][2][3][0] = std::nan("");
  EXPECT_THROW(sample_bits(logits, {}), FaultError);
  logits[1][2][3][0] = INFINITY;
  EXPECT_THROW(sample_bits(logits, {.tau = 0}), FaultError);
}

TEST(SampleBits, TemperatureDividesTheLogits) {
  const double odds = 0.8 / 0.2;
  EXPECT_NEAR(share_of_ones(0.8, {.tau = 2}), std::sqrt(odds) / (1 + std::sqrt(odds)), 0.015);
  EXPECT_EQ(share_of_ones(0.51, {.tau = 0}), 1);
  EXPECT_EQ(share_of_ones(0.49, {.tau = 0}), 0);
}

TEST(SampleBits, TopPNeverDrawsAnUnlikelyValue) {
  EXPECT_EQ(share_of_ones(0.029, {.top_p = 0.97}), 0);
  EXPECT_EQ(share_of_ones(0.971, {.top_p = 0.97}), 1);
  EXPECT_NEAR(share_of_ones(0.05, {.top_p = 0.97}), 0.05, 0.01);
  EXPECT_NEAR(share_of_ones(0.5, {.top_p = 0.1}), 0.5, 0.015);
}

TEST(SampleBits, DrawsDependOnSeedPictureScaleAndIndexAlone) {
  const Tensor logits = logits_of(0.5, {3, 10, 8});
  const Tensor whole = sample_bits(logits, {.seed = 5, .scale = 2});
  EXPECT_TRUE(at::equal(sample_bits(logits.slice(0, 1, 2), {.seed = 5, .first_picture = 1, .scale = 2})[0], whole[1]));
  EXPECT_FALSE(at::equal(whole[0], whole[1]));
  EXPECT_FALSE(at::equal(sample_bits(logits, {.seed = 5, .scale = 3}), whole));
  EXPECT_FALSE(at::equal(sample_bits(logits, {.seed = 6, .scale = 2}), whole));
}

TEST(Guided, IsTheConditionalAtOneAndExtrapolatesAbove) {
  const Tensor conditional = at::randn({4}), unconditional = at::randn({4});
  EXPECT_TRUE(at::equal(guided(conditional, unconditional, 1), conditional));
  EXPECT_TRUE(at::allclose(guided(conditional, unconditional, 3), unconditional + 3 * (conditional - unconditional),
                           1e-5, 1e-5));
}

}  // namespace
}  // namespace tessera::generate
