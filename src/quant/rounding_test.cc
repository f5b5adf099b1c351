// Rounding by ranges: how far it may be off, and what it keeps.
#include "quant/rounding.h"

#include <gtest/gtest.h>

#include <ATen/ATen.h>

namespace tessera::quant {
namespace {

TEST(QuantRounding, FourBitsAreOffByAStepAtMostAndKeepZero) {
  at::manual_seed(3);
  Tensor weight = at::randn({7, 256});
  weight.select(0, 2).abs_(), weight.select(0, 3).zero_(), weight.select(1, 5).zero_();
  const nn::Int4Weight w = round_int4(weight, 64, full_ranges(weight, 64));
  const Tensor error = (unpacked(w) - weight).abs().unflatten(-1, {4, 64}).amax(-1);
  EXPECT_TRUE(
      (error <= w.scales * 1.02).all().item<bool>());  // half a step, and another half where the zero was rounded
  EXPECT_LT((error / w.scales).mean().item<double>(), 0.75);
  EXPECT_EQ(unpacked(w).select(1, 5).abs().max().item<float>(), 0);
  EXPECT_EQ(unpacked(w).select(0, 3).abs().max().item<float>(), 0);
  EXPECT_TRUE(at::equal(w.scales, w.scales.to(at::kHalf).to(at::kFloat)));
}

TEST(QuantRounding, PackingHoldsWhatRoundingGave) {
  const Tensor weight = at::randn({5, 96});
  const Ranges ranges{full_ranges(weight, 32).low * 0.7, full_ranges(weight, 32).high * 0.7};
  EXPECT_TRUE(at::equal(unpacked(round_int4(weight, 32, ranges)), rounded_int4(weight, 32, ranges)));
}

TEST(QuantRounding, WhatIsOnTheGridStaysThere) {
  const Tensor q = at::randint(0, 16, {3, 64}, at::kFloat);
  q.select(1, 0).fill_(0), q.select(1, 1).fill_(15);
  const Tensor weight = (q - 6) * 0.25;
  EXPECT_TRUE(at::equal(rounded_int4(weight, 64, full_ranges(weight, 64)), weight));
}

TEST(QuantRounding, EightBitsAreOffByHalfAStepAtMost) {
  const Tensor weight = at::randn({6, 40}) * at::rand({6, 1}).mul(4).exp();
  const nn::Int8Weight w = round_int8(weight);
  const Tensor error = (unpacked(w) - weight).abs().amax(-1);
  EXPECT_TRUE((error <= w.scales * 0.501).all().item<bool>());
  EXPECT_EQ(unpacked(round_int8(at::zeros({2, 8}))).abs().max().item<float>(), 0);
}

}  // namespace
}  // namespace tessera::quant
