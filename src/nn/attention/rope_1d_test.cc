// The turn along a line: against complex numbers, and the law that only distances count.
#include "nn/attention/rope.h"

#include <gtest/gtest.h>

#include "nn/kernels/token_ops.h"

namespace tessera::nn {
namespace {

TEST(Rope1d, RotatesPairsHalfAHeadApartAsComplexNumbers) {
  at::manual_seed(1);
  const Tensor x = at::randn({2, 3, 2, 8}), positions = at::tensor(std::vector<int64_t>{0, 1, 5, 7, 2, 3}).view({2, 3});
  const Rope1d rope = rope_1d(positions, rope_frequencies(8, 100));
  const Tensor got = rotate_halves(x, rope.cos, rope.sin);
  ASSERT_EQ(got.sizes(), (std::vector<int64_t>{2, 2, 3, 8}));
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t l = 0; l < 3; ++l) {
      for (int64_t j = 0; j < 4; ++j) {
        const double angle = static_cast<double>(positions[b][l].item<int64_t>()) * std::pow(100.0, -2.0 * j / 8.0);
        const double low = x[b][l][1][j].item<double>(), high = x[b][l][1][j + 4].item<double>();
        EXPECT_NEAR(got[b][1][l][j].item<double>(), low * std::cos(angle) - high * std::sin(angle), 1e-5);
        EXPECT_NEAR(got[b][1][l][j + 4].item<double>(), low * std::sin(angle) + high * std::cos(angle), 1e-5);
      }
    }
  }
}

TEST(Rope1d, ScoresDependOnDistanceAlone) {
  at::manual_seed(2);
  const Tensor q = at::randn({1, 1, 1, 16}), k = at::randn({1, 1, 1, 16}), frequencies = rope_frequencies(16, 1e4);
  const auto score = [&](int64_t at_q, int64_t at_k) {
    const Rope1d a = rope_1d(at::full({1, 1}, at_q, at::kLong), frequencies),
                 b = rope_1d(at::full({1, 1}, at_k, at::kLong), frequencies);
    return (rotate_halves(q, a.cos, a.sin) * rotate_halves(k, b.cos, b.sin)).sum().item<double>();
  };
  EXPECT_NEAR(score(9, 4), score(105, 100), 1e-4);
  EXPECT_GT(std::abs(score(9, 4) - score(9, 2)), 1e-3);
}

TEST(Rope1d, KeepsTheFormatOfItsInput) {
  const Tensor x = at::randn({1, 4, 2, 8});
  const Rope1d rope = rope_1d(at::arange(4).unsqueeze(0), rope_frequencies(8, 1e4));
  const Tensor half = rotate_halves(x.to(at::kBFloat16), rope.cos, rope.sin);
  EXPECT_EQ(half.scalar_type(), at::kBFloat16);
  EXPECT_LT((half - rotate_halves(x, rope.cos, rope.sin)).abs().max().item<double>(), 0.05);
}

}  // namespace
}  // namespace tessera::nn
