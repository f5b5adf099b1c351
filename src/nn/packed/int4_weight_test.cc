// Four-bit products against their plain meaning (unpack, then multiply), and how far rounding may be off.
#include "nn/packed/int4_weight.h"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

#include "nn/kernels/int4_kernel.h"

namespace tessera::nn {
namespace {

Int4Weight random_int4(int64_t out, int64_t in, int64_t group) {
  return {at::randint(0, 256, {out, in / 2}, at::kByte), at::rand({out, in / group}) * 0.02 + 0.001,
          at::randint(0, 16, {out, in / group}, at::kByte), group};
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
        const Tensor weight = w.unpack().to(at::kDouble), got = product(x, w, path);
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
  const Tensor x = at::randn({21, 640});
  for (const int4::Path path : {int4::Path::portable, int4::Path::avx2, int4::Path::avx512}) {
    for (const int64_t group : {64, 128}) {
      if (!int4::runs(path, group)) continue;
      const Int4Weight w = random_int4(37, 640, group);
      const Tensor all = product(x, w, path);
      for (int64_t count = 1; count <= 9; ++count) {
        for (int64_t first = 0; first + count <= x.size(0); first += 3)
          EXPECT_TRUE(at::equal(product(x.narrow(0, first, count), w, path), all.narrow(0, first, count)))
              << "path " << static_cast<int>(path) << " group " << group << " rows from " << first << ": " << count;
      }
    }
  }
}

TEST(Int4Kernel, ExtremeActivationsStayWhatTheyAre) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const int4::Path path : {int4::Path::portable, int4::Path::avx2, int4::Path::avx512}) {
    if (!int4::runs(path, 128)) continue;
    const Int4Weight w = random_int4(5, 256, 128);
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

TEST(Int4Weight, ManyRowsAgreeWithThePlainProductAsFarAsBfloat16Does) {
  at::manual_seed(2);
  for (const int64_t group : {64, 128}) {
    const Int4Weight w = random_int4(333, 512, group);
    const Tensor x = at::randn({3, 70, 512});
    const Tensor y = w.product(x), plain = at::linear(x, w.unpack());
    ASSERT_EQ(y.sizes(), plain.sizes());
    EXPECT_LT(difference(y, plain), 1e-2);
    EXPECT_LT(((y - plain).norm() / plain.norm()).item<double>(), 5e-3);
  }
}

TEST(Int4Weight, UnpackingToBfloat16RoundsThePlainWeight) {
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
    EXPECT_TRUE(at::equal(bits, w.unpack().to(at::kBFloat16)));
  }
}

TEST(Int4Rounding, FourBitsAreOffByAStepAtMostAndKeepZero) {
  at::manual_seed(3);
  Tensor weight = at::randn({7, 256});
  weight.select(0, 2).abs_(), weight.select(0, 3).zero_(), weight.select(1, 5).zero_();
  const Int4Weight w = round_int4(weight, 64, full_ranges(weight, 64));
  const Tensor error = (w.unpack() - weight).abs().unflatten(-1, {4, 64}).amax(-1);
  EXPECT_TRUE(
      (error <= w.scales * 1.02).all().item<bool>());  // half a step, and another half where the zero was rounded
  EXPECT_LT((error / w.scales).mean().item<double>(), 0.75);
  EXPECT_EQ(w.unpack().select(1, 5).abs().max().item<float>(), 0);
  EXPECT_EQ(w.unpack().select(0, 3).abs().max().item<float>(), 0);
  EXPECT_TRUE(at::equal(w.scales, w.scales.to(at::kHalf).to(at::kFloat)));
}

TEST(Int4Rounding, PackingHoldsWhatRoundingGave) {
  const Tensor weight = at::randn({5, 96});
  const Ranges ranges{full_ranges(weight, 32).low * 0.7, full_ranges(weight, 32).high * 0.7};
  EXPECT_TRUE(at::equal(round_int4(weight, 32, ranges).unpack(), rounded_int4(weight, 32, ranges)));
}

TEST(Int4Rounding, WhatIsOnTheGridStaysThere) {
  const Tensor q = at::randint(0, 16, {3, 64}, at::kFloat);
  q.select(1, 0).fill_(0), q.select(1, 1).fill_(15);
  const Tensor weight = (q - 6) * 0.25;
  EXPECT_TRUE(at::equal(rounded_int4(weight, 64, full_ranges(weight, 64)), weight));
}

}  // namespace
}  // namespace tessera::nn
