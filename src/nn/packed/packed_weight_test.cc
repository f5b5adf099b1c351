// Packed products against their plain meaning: unpack, then multiply.
#include "nn/packed/packed_weight.h"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "nn/kernels/int4_kernel.h"
#include "nn/layers/linear.h"

namespace tessera::nn {
namespace {

Int4Weight random_int4(int64_t out, int64_t in, int64_t group) {
  return {.packed = at::randint(0, 256, {out, in / 2}, at::kByte),
          .scales = at::rand({out, in / group}) * 0.02 + 0.001,
          .zeros = at::randint(0, 16, {out, in / group}, at::kByte),
          .group = group};
}

Int8Weight random_int8(int64_t out, int64_t in) {
  return {.values = at::randint(-127, 128, {out, in}, at::kChar), .scales = at::rand({out}) * 0.02 + 0.001};
}

/// Largest difference as a share of the plain product's largest magnitude.
double difference(const Tensor& got, const Tensor& plain) {
  return ((got - plain).abs().max() / plain.abs().max()).item<double>();
}

/// The plain meaning of int4::rounded(): whole shares of each group's largest magnitude. [rows, in] fp64.
Tensor rounded_plainly(const Tensor& x, int64_t group) {
  const Tensor grouped = x.unflatten(-1, {-1, group});
  const Tensor peak = grouped.abs().amax(-1, /*keepdim=*/true);
  return ((grouped * (32512 / peak)).round().to(at::kDouble) * peak.to(at::kDouble) / 32512).flatten(1);
}

Tensor product(const Tensor& x, const Int4Weight& w, int4::Path path) {
  const int4::Weights arrays{.packed = w.packed.const_data_ptr<uint8_t>(),
                             .scales = w.scales.const_data_ptr<float>(),
                             .zeros = w.zeros.const_data_ptr<uint8_t>(),
                             .out = w.packed.size(0),
                             .in = x.size(1),
                             .group = w.group};
  const Tensor y = at::full({x.size(0), arrays.out}, -77.0);
  const auto rounded = int4::rounded(x.const_data_ptr<float>(), x.size(0), x.size(1), w.group, path);
  int4::multiply(arrays, rounded, 0, arrays.out / 3, y.mutable_data_ptr<float>());
  int4::multiply(arrays, rounded, arrays.out / 3, arrays.out, y.mutable_data_ptr<float>());
  return y;
}

TEST(Int4Kernel, EveryPathEqualsUnpackingAndMultiplying) {
  at::manual_seed(1);
  int fast = 0;
  for (const int4::Path path : {int4::Path::portable, int4::Path::avx2, int4::Path::avx512}) {
    for (const int64_t group : {2, 32, 64, 96, 128, 256}) {
      if (!int4::runs(path, group)) continue;
      fast += path != int4::Path::portable;
      for (const int64_t rows : {1, 2, 3, 5, 7, 8, 9, 17}) {
        const int64_t groups = 1 + rows * 5 % 19, out = 1 + rows * 7 % 23;  // also more than 16 groups, odd everything
        const Int4Weight w = random_int4(out, groups * group, group);
        const Tensor x = at::randn({rows, groups * group}) * at::rand({rows, 1}).mul(8).exp();
        const Tensor weight = unpacked(w).to(at::kDouble), got = product(x, w, path);
        const std::string what =
            fmt::format("path {} group {} rows {} groups {}", static_cast<int>(path), group, rows, groups);
        EXPECT_LT(difference(got, at::linear(rounded_plainly(x, group), weight)), 1e-5) << what;
        EXPECT_LT(difference(got, at::linear(x.to(at::kDouble), weight)), 2e-4) << what;
      }
    }
  }
  EXPECT_EQ(fast > 0, int4::best_path(128) != int4::Path::portable);
}

TEST(Int4Kernel, OutliersInOneGroupDoNotBlurTheOthers) {
  for (const int4::Path path : {int4::Path::portable, int4::Path::avx2, int4::Path::avx512}) {
    if (!int4::runs(path, 128)) continue;
    const Int4Weight w = random_int4(6, 256, 128);
    Tensor x = at::randn({2, 256});
    const Tensor small = product(x, w, path);
    w.scales.select(1, 1).zero_();
    const Tensor first_alone = product(x, w, path);
    x.slice(1, 128) *= 1e9;
    EXPECT_TRUE(at::equal(product(x, w, path), first_alone));
    EXPECT_FALSE(at::equal(small, first_alone));
  }
}

TEST(Int4Kernel, ARowsProductDoesNotDependOnTheRowsBesideIt) {
  const Int4Weight w = random_int4(37, 640, 128);
  const Tensor x = at::randn({21, 640}), all = linear(x, w);
  for (int64_t row = 0; row < x.size(0); ++row) {
    EXPECT_TRUE(at::equal(linear(x.narrow(0, row, 1), w), all.narrow(0, row, 1))) << row;
  }
}

TEST(Int4Kernel, ExtremeActivationsStayWhatTheyAre) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const int4::Path path : {int4::Path::portable, int4::Path::avx2, int4::Path::avx512}) {
    if (!int4::runs(path, 128)) continue;
    Int4Weight w = random_int4(5, 256, 128);
    Tensor x = at::zeros({6, 256});
    x[1][3] = infinity, x[2][200] = std::nan(""), x[3].fill_(3e38), x[4].fill_(1e-44), x[5].fill_(-32512);
    w.packed.fill_(0xFF), w.zeros.zero_(), w.scales.fill_(1.0 / 16);
    const Tensor y = product(x, w, path);
    EXPECT_EQ(y[0].abs().max().item<float>(), 0);
    EXPECT_TRUE(y[1].isnan().all().item<bool>());
    EXPECT_TRUE(y[2].isnan().all().item<bool>());
    EXPECT_TRUE(y[3].isinf().all().item<bool>());
    EXPECT_LT(y[4].abs().max().item<float>(), 1e-40);
    EXPECT_EQ(y[5][0].item<float>(), -32512.0f * 256 * 15 / 16);  // the largest sums that there can be, exactly
  }
}

TEST(PackedWeight, ManyRowsAgreeWithThePlainProductAsFarAsBfloat16Does) {
  at::manual_seed(2);
  for (const int64_t group : {64, 128}) {
    const Int4Weight w = random_int4(333, 512, group);
    const Tensor x = at::randn({3, 70, 512});
    const Tensor y = linear(x, w), plain = at::linear(x, unpacked(w));
    ASSERT_EQ(y.sizes(), plain.sizes());
    EXPECT_LT(difference(y, plain), 1e-2);
    EXPECT_LT(((y - plain).norm() / plain.norm()).item<double>(), 5e-3);
  }
}

TEST(PackedWeight, UnpackingToBfloat16RoundsThePlainWeight) {
  for (const int64_t group : {64, 128}) {
    const Int4Weight w = random_int4(9, 384, group);
    const Tensor bits = at::empty({9, 384}, at::kBFloat16);
    const int4::Weights arrays{.packed = w.packed.const_data_ptr<uint8_t>(),
                               .scales = w.scales.const_data_ptr<float>(),
                               .zeros = w.zeros.const_data_ptr<uint8_t>(),
                               .out = 9,
                               .in = 384,
                               .group = group};
    int4::unpack_bfloat16(arrays, 0, 9, reinterpret_cast<uint16_t*>(bits.mutable_data_ptr<at::BFloat16>()));
    EXPECT_TRUE(at::equal(bits, unpacked(w).to(at::kBFloat16)));
  }
}

TEST(PackedWeight, EightBitsMeanRoundedActivationsTimesRoundedWeights) {
  at::manual_seed(4);
  for (const int64_t rows : {1, 3, 40}) {
    const Tensor x = at::randn({2, rows, 72}) * 5;
    const Int8Weight w = random_int8(11, 72);
    const Tensor step = x.abs().amax(-1, true) / 127;
    const Tensor plain = at::linear((x / step).round() * step, unpacked(w));
    EXPECT_LT(difference(linear(x, w), plain), 1e-5);
    EXPECT_LT(difference(linear(x, w), at::linear(x, unpacked(w))), 0.02);
  }
  EXPECT_EQ(linear(at::zeros({1, 72}), random_int8(4, 72)).abs().max().item<float>(), 0);
}

TEST(PackedWeight, GradientsGoThroughTheUnpackedWeight) {
  const Int4Weight w = random_int4(5, 128, 64);
  const Tensor x = at::randn({4, 128}).requires_grad_();
  linear(x, w).sum().backward();
  EXPECT_TRUE(at::allclose(x.grad(), unpacked(w).sum(0).expand({4, 128}), 1e-4, 1e-5));
}

TEST(PackedWeight, ALayerAddsItsBiasAndAnswersInTheFormatItIsAskedIn) {
  Linear layer(128, 6);
  layer.int4 = random_int4(6, 128, 128), layer.weight = Tensor(), layer.bias = at::randn({6});
  const Tensor x = at::randn({2, 3, 128});
  const Tensor plain = at::linear(x, unpacked(*layer.int4), layer.bias);
  EXPECT_LT(difference(layer.forward(x), plain), 2e-4);
  layer.bias = layer.bias.to(at::kBFloat16);
  const Tensor half = layer.forward(x.to(at::kBFloat16));
  EXPECT_EQ(half.scalar_type(), at::kBFloat16);
  EXPECT_LT(difference(half.to(at::kFloat), plain), 2e-2);
}

}  // namespace
}  // namespace tessera::nn
