// Laws of the residual bitwise quantiser.
#include "codec/bsq.h"

#include <gtest/gtest.h>

#include <ATen/ops/randn.h>

namespace tessera::codec {
namespace {

Tensor random_latent(int64_t batch, int64_t bits, int64_t edge, uint64_t seed) {
  at::manual_seed(seed);
  return at::randn({batch, bits, edge, edge}) * 0.5;
}

TEST(Bsq, CodesHaveUnitLengthForAnyNumberOfBits) {
  for (const int64_t d : {1, 7, 16, 33, 64}) {
    const Tensor codes = bits_to_codes(random_latent(2, d, 3, 1) > 0);
    EXPECT_NEAR(codes.square().sum(1).sub(1).abs().max().item<double>(), 0, 1e-6) << d;
  }
}

TEST(Bsq, ABitIsOneOnlyAboveZero) {
  const Tensor zero = at::zeros({1, 4, 1, 1});
  EXPECT_EQ(quantise(zero, {{1, 1}}).bits[0].sum().item<int64_t>(), 0);
}

TEST(Bsq, DecodingTheBitsGivesTheSumsThatEncodingComputed) {
  const Tensor latent = random_latent(3, 8, 6, 2);
  const auto scales = square_scales({1, 2, 3, 6});
  const ResidualCodes codes = quantise(latent, scales);
  for (size_t k = 1; k <= scales.size(); ++k) {
    const std::vector<Tensor> prefix(codes.bits.begin(), codes.bits.begin() + static_cast<std::ptrdiff_t>(k));
    EXPECT_TRUE(at::equal(sum_codes(prefix, {6, 6}), codes.sums[k - 1])) << k;
  }
}

TEST(Bsq, EveryScaleQuantisesTheResidualOfTheEarlierOnes) {
  const Tensor latent = random_latent(2, 5, 4, 3);
  const auto scales = square_scales({1, 2, 4});
  const ResidualCodes codes = quantise(latent, scales);
  for (size_t k = 1; k < scales.size(); ++k) {
    const Tensor expected = shrink(latent - codes.sums[k - 1], scales[k]);
    EXPECT_TRUE(at::allclose(codes.residuals[k], expected, 0, 1e-6));
    EXPECT_TRUE(at::equal(codes.bits[k], expected > 0));
  }
}

TEST(Bsq, ALatentThatIsACodeIsQuantisedWithoutError) {
  const Tensor latent = bits_to_codes(random_latent(2, 16, 4, 4) > 0);
  EXPECT_TRUE(at::equal(quantise(latent, square_scales({4})).sums.back(), latent));
}

TEST(Bsq, FlipsEnterTheSumAndLaterLabelsAreAgainstTheFlippedSum) {
  const Tensor latent = random_latent(2, 6, 4, 5);
  const auto scales = square_scales({1, 2, 4});
  std::vector<Tensor> flips;
  for (const auto& s : scales) flips.push_back(at::zeros({2, 6, s.height, s.width}, at::kBool));
  flips[0].fill_(true);
  const ResidualCodes plain = quantise(latent, scales), flipped = quantise(latent, scales, flips);
  EXPECT_TRUE(at::equal(plain.bits[0], flipped.bits[0])) << "labels of the first scale are not flipped";
  EXPECT_TRUE(at::equal(flipped.sums[0], -plain.sums[0]));
  EXPECT_TRUE(at::equal(flipped.bits[1], shrink(latent - flipped.sums[0], scales[1]) > 0));
  EXPECT_FALSE(at::equal(flipped.bits[1], plain.bits[1]));
}

TEST(Bsq, RandomFlipsAreDeterministicAndOfTheDrawnStrength) {
  const auto scales = square_scales({1, 8, 32});
  const auto a = random_flips(4, 16, scales, 30, Rng(9), at::kCPU),
             b = random_flips(4, 16, scales, 30, Rng(9), at::kCPU);
  for (size_t k = 0; k < scales.size(); ++k) EXPECT_TRUE(at::equal(a[k], b[k]));
  double total = 0;
  for (uint64_t seed = 0; seed < 200; ++seed)
    total += random_flips(4, 16, {{16, 16}}, 30, Rng(seed), at::kCPU)[0].to(at::kFloat).mean().item<double>();
  EXPECT_NEAR(total / 200, 0.15, 0.02);  // mean of 0..30 percent
}

TEST(Bsq, EntropyPenaltyIsLowestForCertainAndBalancedBits) {
  const Tensor balanced = random_latent(8, 8, 4, 6).sign(), one_sided = at::ones({8, 8, 4, 4});
  const double log2 = std::log(2.0);
  EXPECT_NEAR(entropy_penalty(balanced).item<double>(), -8 * log2, 0.1);
  EXPECT_NEAR(entropy_penalty(one_sided).item<double>(), 0, 1e-3);
}

}  // namespace
}  // namespace tessera::codec
