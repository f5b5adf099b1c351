// The laws of rotary positions: lengths stay, inner products depend on differences alone, sizes agree on positions.
#include "nn/attention/rope.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tessera::nn {
namespace {

TEST(RopeIndex, RoundsHalvesToEven) {
  EXPECT_EQ(rope_index(1, 64, 128), 0);  // 0.5
  EXPECT_EQ(rope_index(3, 64, 128), 2);  // 1.5
  EXPECT_EQ(rope_index(5, 64, 128), 2);  // 2.5
  EXPECT_EQ(rope_index(1, 64, 6), 11);   // 10.67
  for (int64_t count : {1, 2, 3, 5, 6, 12, 20, 48}) {
    for (int64_t i = 0; i < count; ++i) {
      EXPECT_EQ(rope_index(i, 64, count), std::nearbyint(static_cast<double>(i) * 64 / static_cast<double>(count)));
    }
  }
}

TEST(Rope2d, TheFirstHalfOfThePairsRotatesByTheRowAndTheSecondByTheColumn) {
  const Rope2d rope = rope_2d({{2, 3, 2, 3}}, 8, at::kCPU);  // pairs: 2 by row, 2 by column
  const int64_t place = 1 * 3 + 2;                           // row 1, column 2
  const double frequency[] = {1.0, 1.0 / 100};               // 10000^(-2j / 4)
  for (int64_t j = 0; j < 4; ++j) {
    const double angle = (j < 2 ? 1 : 2) * frequency[j % 2];
    EXPECT_NEAR(rope.cos[place][j].item<double>(), std::cos(angle), 1e-6);
    EXPECT_NEAR(rope.sin[place][j].item<double>(), std::sin(angle), 1e-6);
  }
}

TEST(Rope2d, RotatesAdjacentPairsAndKeepsNorms) {
  at::manual_seed(3);
  const Rope2d rope = rope_2d({{3, 3, 9, 9}}, 8, at::kCPU);
  const Tensor x = at::randn({2, 9, 2, 8});
  const Tensor turned = rotate(x, rope);
  EXPECT_TRUE(at::allclose(turned.norm(2, {-1}), x.norm(2, {-1}), 1e-5, 1e-6));
  const Tensor by_hand = x[1][4][0][2] * rope.cos[4][1] - x[1][4][0][3] * rope.sin[4][1];
  EXPECT_NEAR(turned[1][4][0][2].item<float>(), by_hand.item<float>(), 1e-6);
}

TEST(Rope2d, InnerProductsDependOnTheDifferenceOfPositions) {
  at::manual_seed(4);
  const Rope2d rope = rope_2d({{4, 4, 4, 4}}, 16, at::kCPU);
  const Tensor q = at::randn({1, 1, 1, 16}).expand({1, 16, 1, 16}), k = at::randn({1, 1, 1, 16}).expand({1, 16, 1, 16});
  const Tensor products = rotate(q, rope).squeeze(2)[0].matmul(rotate(k, rope).squeeze(2)[0].t());  // [16, 16]
  for (int64_t place : {0, 1, 4, 5, 10}) {
    EXPECT_NEAR(products[place][place + 5].item<float>(), products[0][5].item<float>(), 1e-4);
  }
}

TEST(Rope2d, GridsOfDifferentSizeAgreeOnPositions) {
  const Rope2d rope = rope_2d({{2, 2, 8, 8}, {4, 4, 8, 8}}, 8, at::kCPU);
  const int64_t coarse = 1 * 2 + 1, fine = 4 + 2 * 4 + 2;  // both at half height, half width
  EXPECT_TRUE(at::equal(rope.cos[coarse], rope.cos[fine]));
  EXPECT_TRUE(at::equal(rope.slice(0, 4).sin[coarse], rope.sin[fine]));
}

}  // namespace
}  // namespace tessera::nn
