// Products with 16-bit weights equal those with the widened weight.
#include "nn/kernels/linear_16bit.h"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

namespace tessera::nn {
namespace {

TEST(HalfLinear, EqualsTheProductWithTheWidenedWeight) {
  at::manual_seed(1);
  for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
    for (const int64_t in : {1, 7, 16, 33, 64, 200}) {
      for (const int64_t rows : {1, 2, 3, 5, 8, 9, 16, 17, 40}) {
        const Tensor weight = at::randn({19, in}).to(type), x = at::randn({rows, in});
        const Tensor plain = at::linear(x.to(at::kDouble), weight.to(at::kDouble));
        const double off = ((linear_16bit(x, weight) - plain).abs().max() / plain.abs().max()).item<double>();
        EXPECT_LT(off, 2e-6) << weight.scalar_type() << " in " << in << " rows " << rows;
      }
    }
  }
}

TEST(HalfLinear, KeepsLeadingDimensionsAndGradients) {
  const Tensor weight = at::randn({6, 10}).to(at::kHalf), x = at::randn({2, 3, 10}).requires_grad_();
  const Tensor y = linear_16bit(x, weight);
  EXPECT_EQ(y.sizes(), (std::vector<int64_t>{2, 3, 6}));
  y.sum().backward();
  EXPECT_TRUE(at::allclose(x.grad(), weight.to(at::kFloat).sum(0).expand_as(x), 1e-4, 1e-5));
  const at::NoGradGuard no_grad;
  EXPECT_TRUE(at::allclose(linear_16bit(x, weight), y, 1e-5, 1e-5));
}

TEST(HalfLinear, BlocksOfAWideWeightJoin) {
  const Tensor weight = at::randn({5000, 1000}).to(at::kBFloat16), x = at::randn({20, 1000});
  const Tensor plain = at::linear(x, weight.to(at::kFloat));
  EXPECT_TRUE(at::allclose(linear_16bit(x, weight), plain, 1e-4, 1e-3));
}

}  // namespace
}  // namespace tessera::nn
