// 8-bit products: close to full ones, exact where 8 bits are enough, safe at zero; layers use them from a size on.
#include "nn/layers/fp8.h"

#include <gtest/gtest.h>

#include <ATen/autocast_mode.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "nn/layers/adapters.h"
#include "tensor/live_bytes.h"

namespace tessera::nn {
namespace {

double distance(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

TEST(Fp8, RoundingKeepsTheLargestValueAndIsExactForSmallIntegers) {
  const Tensor t = at::tensor({448.0f, -1.0f, 2.0f, 0.0f, -15.0f, 0.5f});
  EXPECT_EQ(distance(rounded_to_e4m3(t).numbers.to(at::kFloat), t), 0);
  const Fp8 three = rounded_to_e4m3(at::tensor({3.0f, -3.0f}));
  EXPECT_NEAR((three.numbers.to(at::kFloat) * three.scale)[1].item<double>(), -3, 1e-6);
  EXPECT_EQ(rounded_to_e5m2(at::zeros({3})).scale.item<double>(), 1);
  EXPECT_EQ(rounded_to_e4m3(at::zeros({0, 4})).numbers.numel(), 0);
}

TEST(Fp8, RelativeErrorIsThatOfThreeAndTwoMantissaBits) {
  const Tensor t = at::randn({1000}).abs() + 1;  // all within the format's normal numbers
  const auto error = [&](const Fp8& r) {
    return ((r.numbers.to(at::kFloat) * r.scale - t).abs() / t).max().item<double>();
  };
  EXPECT_LE(error(rounded_to_e4m3(t)), 1.0 / 16 + 1e-6);
  EXPECT_LE(error(rounded_to_e5m2(t)), 1.0 / 8 + 1e-6);
}

TEST(Fp8, ProductsAndGradientsAreNearTheFullOnes) {
  const Tensor x = at::randn({64, 128}).requires_grad_(true), w = at::randn({96, 128}).requires_grad_(true);
  const Tensor g = at::randn({64, 96});
  const Tensor y = fp8_linear(x, w);
  // Rounding adds some 2.6% to a number of three bits and 5.2% to one of two: 6% to a gradient of any size.
  const auto near = [](const Tensor& got, const Tensor& want) {
    EXPECT_LT((got - want).norm().item<double>(), 0.08 * want.norm().item<double>());
    EXPECT_GT(distance(got, want), 0) << "rounded at all";
  };
  near(y, at::linear(x, w));
  y.backward(g);
  near(x.grad(), at::matmul(g, w));
  near(w.grad(), at::matmul(g.t(), x));
}

TEST(Fp8, TheBackwardPassKeepsTheInputInOneBytePerElement) {
  const Tensor w = at::randn({8, 1024}).requires_grad_(true);
  const LiveBytes bytes;
  Tensor y;
  {
    const Tensor x = at::randn({256, 1024});
    y = fp8_linear(x, w);
  }
  EXPECT_LT(bytes.now(), 256 * 1024 + 256 * 8 * 4 + 10000);
}

TEST(Fp8, FormatsAreThoseOfTheInputUnderAutocastToo) {
  const Tensor x = at::randn({16, 32}), w = at::randn({8, 32});
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const Tensor under = fp8_linear(x, w);
  EXPECT_TRUE(at::autocast::is_autocast_enabled(at::kCPU));
  at::autocast::set_autocast_enabled(at::kCPU, false);
  EXPECT_TRUE(under.equal(fp8_linear(x, w)));
  EXPECT_EQ(fp8_linear(x.to(at::kBFloat16), w).scalar_type(), at::kBFloat16);
}

struct Fp8Net {
  Linear small{8, 64}, large{32, 64}, head{64, 16, false};
};
template <class V> void tensors(V& v, Fp8Net& m) {
  v("small", m.small);
  v("large", m.large);
  v("lm_head", m.head);
}

TEST(Fp8, LayersAboveASizeUseItExceptTheHead) {
  Fp8Net net;
  for (const NamedTensor& t : named_tensors(net)) fill_uniform(t.tensor, 1, Rng(1));
  EXPECT_EQ(use_fp8(named_linears(net), 16), 1);
  EXPECT_FALSE(net.small.fp8 || net.head.fp8);
  const Tensor x = at::randn({4, 32});
  EXPECT_TRUE(net.large.forward(x).equal(fp8_linear(x, net.large.weight) + net.large.bias));
}

}  // namespace
}  // namespace tessera::nn
