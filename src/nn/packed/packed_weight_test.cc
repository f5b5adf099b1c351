// What holds for a packed weight of any format; and eight bits.
#include "nn/packed/packed_weight.h"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "nn/layers/linear.h"
#include "nn/packed/int4_weight.h"
#include "nn/packed/int8_weight.h"

namespace tessera::nn {
namespace {

using Weights = std::vector<std::shared_ptr<const PackedWeight>>;

/// The same weight [out, in] in every format.
Weights in_every_format(const Tensor& weight, int64_t group) {
  return {std::make_shared<Int4Weight>(round_int4(weight, group, full_ranges(weight, group))),
          std::make_shared<Int8Weight>(round_int8(weight))};
}

Int8Weight random_int8(int64_t out, int64_t in) {
  return {at::randint(-127, 128, {out, in}, at::kChar), at::rand({out}) * 0.02 + 0.001};
}

/// Largest difference as a share of the plain product's largest magnitude.
double largest_difference(const Tensor& got, const Tensor& plain) {
  return ((got - plain).abs().max() / plain.abs().max()).item<double>();
}

TEST(PackedWeight, SaysItsSizesAndUnpacksRowsAsItUnpacksAll) {
  for (const auto& weight : in_every_format(at::randn({6, 16}), 8)) {
    EXPECT_EQ(weight->out(), 6);
    EXPECT_EQ(weight->in(), 16);
    EXPECT_TRUE(weight->rows(2, 3).equal(weight->unpack().narrow(0, 2, 3))) << weight->format();
    EXPECT_TRUE(weight->to(at::kCPU)->unpack().equal(weight->unpack())) << weight->format();
    EXPECT_LT(weight->bytes(), 6 * 16 * 4 / 2) << weight->format();
  }
}

TEST(PackedWeight, GradientsEqualThoseOfTheUnpackedWeight) {
  const Tensor direction = at::randn({2, 3, 6});
  const auto gradient = [&](const std::function<Tensor(const Tensor&)>& f) {
    const Tensor x = at::ones({2, 3, 16}).requires_grad_(true);
    (f(x) * direction).sum().backward();
    return x.grad();
  };
  for (const auto& weight : in_every_format(at::randn({6, 16}), 8)) {
    EXPECT_TRUE(at::allclose(gradient([&](const Tensor& x) { return linear(x, weight); }),
                             gradient([&](const Tensor& x) { return at::linear(x, weight->unpack()); }), 1e-5, 1e-5))
        << weight->format();
  }
}

TEST(PackedWeight, WithoutATapeItIsThePlainProduct) {
  const Tensor x = at::randn({3, 16});
  for (const auto& weight : in_every_format(at::randn({6, 16}), 8)) {
    EXPECT_TRUE(linear(x, weight).equal(weight->product(x))) << weight->format();
    EXPECT_FALSE(linear(x, weight).requires_grad()) << weight->format();
  }
}

TEST(PackedWeight, ALayerAddsItsBiasAndAnswersInTheFormatItIsAskedIn) {
  const Tensor x = at::randn({2, 3, 128});
  for (const auto& weight : in_every_format(at::randn({6, 128}), 128)) {
    Linear layer(128, 6);
    layer.pack(weight);
    layer.bias = at::randn({6});
    const Tensor plain = at::linear(x, weight->unpack(), layer.bias);
    EXPECT_LT(largest_difference(layer.forward(x), plain), weight->format() == "int4" ? 2e-4 : 2e-2)
        << weight->format();
    layer.bias = layer.bias.to(at::kBFloat16);
    const Tensor narrow = layer.forward(x.to(at::kBFloat16));
    EXPECT_EQ(narrow.scalar_type(), at::kBFloat16) << weight->format();
    EXPECT_LT(largest_difference(narrow.to(at::kFloat), plain), 3e-2) << weight->format();
  }
}

TEST(Int8Weight, EightBitsMeanRoundedActivationsTimesRoundedWeights) {
  at::manual_seed(4);
  for (const int64_t rows : {1, 3, 40}) {
    const Tensor x = at::randn({2, rows, 72}) * 5;
    const Int8Weight w = random_int8(11, 72);
    const Tensor step = x.abs().amax(-1, true) / 127;
    const Tensor plain = at::linear((x / step).round() * step, w.unpack());
    EXPECT_LT(largest_difference(w.product(x), plain), 1e-5);
    EXPECT_LT(largest_difference(w.product(x), at::linear(x, w.unpack())), 0.02);
  }
  EXPECT_EQ(random_int8(4, 72).product(at::zeros({1, 72})).abs().max().item<float>(), 0);
}

TEST(Int8Rounding, EightBitsAreOffByHalfAStepAtMost) {
  const Tensor weight = at::randn({6, 40}) * at::rand({6, 1}).mul(4).exp();
  const Int8Weight w = round_int8(weight);
  const Tensor error = (w.unpack() - weight).abs().amax(-1);
  EXPECT_TRUE((error <= w.scales * 0.501).all().item<bool>());
  EXPECT_EQ(round_int8(at::zeros({2, 8})).unpack().abs().max().item<float>(), 0);
}

}  // namespace
}  // namespace tessera::nn
