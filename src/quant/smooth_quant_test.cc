// Smoothing on one layer with loud input channels.
#include "quant/smooth_quant.h"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "nn/layers/norm.h"

namespace tessera::quant {
namespace {

double error_of(bool smooth, double exponent) {
  at::manual_seed(8);
  nn::LayerNorm norm(48);
  nn::Linear fc(48, 32);
  norm.weight.copy_(at::rand({48}) + 0.5);
  norm.bias.copy_(at::randn({48}) * 0.2);
  norm.weight.slice(0, 10, 12).mul_(60);
  norm.bias.slice(0, 10, 12).mul_(60);
  fc.weight.copy_(at::randn({32, 48}) * 0.1);
  const Tensor x = at::randn({64, 48}), plain = fc.forward(norm.forward(x));
  const std::vector<SharedInput> inputs = {
      {.name = "fc", .consumers = {{&fc}}, .norm = SharedInput::Norm{norm.weight, norm.bias, 0}}};
  std::vector<InputStatistics> statistics(1);
  if (smooth) statistics[0].see(norm.forward(x));
  smooth_quant(inputs, statistics, exponent);
  EXPECT_TRUE(fc.packed && !fc.weight.defined());
  const Tensor y = fc.forward(norm.forward(x));
  return ((y - plain).square().sum() / plain.square().sum()).item<double>();
}

TEST(SmoothQuant, MovesLoudChannelsIntoTheWeights) {
  EXPECT_LT(error_of(true, 0.3), 0.5 * error_of(false, 0.3));
  EXPECT_LT(error_of(true, 0.3), 1e-3);
}

TEST(SmoothQuant, ScaleIsThatOfThePaper) {
  const Tensor scale = smoothing_scale(at::tensor({16.0f, 1.0f}), at::tensor({4.0f, 0.25f}), 0.5);
  EXPECT_TRUE(at::allclose(scale, at::tensor({2.0f, 2.0f})));
}

}  // namespace
}  // namespace tessera::quant
