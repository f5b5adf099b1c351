// The loop over scales with steps that need no model.
#include "generate/scale_loop.h"

#include <gtest/gtest.h>

namespace tessera::generate {
namespace {

using codec::ScaleShape;

const std::vector<ScaleShape> scales{{1, 1}, {2, 2}, {3, 3}};

TEST(ScaleLoop, AStepThatQuantisesTheResidualReproducesTheCodecsSums) {
  at::manual_seed(2);
  const Tensor latent = at::randn({2, 4, 3, 3});
  const codec::ResidualCodes codes = codec::quantise(latent, scales);
  std::vector<Tensor> seen;
  const ScaleLoop loop{
      .scales = scales, .bits = 4, .batch = 2, .on_scale = [&](size_t, const Tensor& sum) { seen.push_back(sum); }};
  const ScaleLoopResult result =
      run(loop, [&](size_t k, const Tensor& sum) { return codec::shrink(latent - sum, scales[k]) > 0; });
  for (size_t k = 0; k < scales.size(); ++k) {
    EXPECT_TRUE(at::equal(result.bits[k], codes.bits[k]));
    EXPECT_TRUE(at::equal(seen[k], codes.sums[k]));
  }
}

TEST(ScaleLoop, GivenScalesReplaceWhatTheStepDrewAndTheStepStillRuns) {
  std::vector<Tensor> ones;
  for (const ScaleShape s : scales) ones.push_back(at::ones({1, 4, s.height, s.width}, at::kBool));
  size_t steps = 0;
  const auto zeros = [&](size_t k, const Tensor&) {
    ++steps;
    return at::zeros({1, 4, scales[k].height, scales[k].width}, at::kBool);
  };
  const ScaleLoopResult result = run({.scales = scales, .bits = 4, .given = {ones[0], ones[1]}}, zeros);
  EXPECT_EQ(steps, 3u);
  EXPECT_TRUE(result.bits[1].all().item<bool>());
  EXPECT_FALSE(result.bits[2].any().item<bool>());
  EXPECT_TRUE(at::allclose(result.sum, at::full({1, 4, 3, 3}, 0.5)));  // (1 + 1 - 1) / sqrt(4)
}

}  // namespace
}  // namespace tessera::generate
