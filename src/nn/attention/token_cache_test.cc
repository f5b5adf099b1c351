// Laws of the key-value cache: what is read is what was written, room grows with the length, rows can leave.
#include "nn/attention/token_cache.h"

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"

namespace tessera::nn {

namespace {

struct Written {
  Tensor keys, values;  // [B, H, length, head_dim]: what one layer was given, joined
};

/// Gives layer 0 pieces of these lengths and returns all of it.
Written fill(TokenCache& cache, const std::vector<int64_t>& lengths, at::ScalarType type = at::kFloat) {
  std::vector<Tensor> keys, values;
  for (const int64_t n : lengths) {
    keys.push_back(at::randn({2, 3, n, 8}).to(type)), values.push_back(at::randn({2, 3, n, 8}).to(type));
    cache.append(0, keys.back(), values.back());
  }
  return {at::cat(keys, 2), at::cat(values, 2)};
}

/// What layer 0 holds, read by adding nothing.
std::pair<Tensor, Tensor> read(TokenCache& cache, int64_t rows = 2, at::ScalarType type = at::kFloat) {
  const Tensor none = at::zeros({rows, 3, 0, 8}, type);
  return cache.append(0, none, none);
}

}  // namespace

TEST(TokenCache, GivesBackEverythingThatWasAddedInOrder) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    TokenCache cache({.depth = 1, .block = 4});
    const Written written = fill(cache, {3, 1, 1, 1, 9, 1}, type);
    const auto [keys, values] = read(cache, 2, type);
    EXPECT_TRUE(at::equal(keys, written.keys));
    EXPECT_TRUE(at::equal(values, written.values));
    EXPECT_EQ(cache.length(), 16);
  }
}

TEST(TokenCache, LengthIsThatOfTheLastLayer) {
  TokenCache cache({.depth = 2, .block = 4});
  const Tensor one = at::randn({2, 3, 5, 8});
  cache.append(0, one, one);
  EXPECT_EQ(cache.length(), 0);
  cache.append(1, one, one);
  EXPECT_EQ(cache.length(), 5);
}

TEST(TokenCache, RoomGrowsWithTheLengthAndIsCopiedALogarithmOfTimes) {
  TokenCache cache({.depth = 1, .block = 16});
  const Tensor one = at::zeros({1, 2, 1, 8});
  const int64_t per_position = 2 * 2 * 8 * 4;  // keys and values, heads, head_dim, bytes
  int64_t before = 0, growths = 0;
  for (int64_t length = 1; length <= 3000; ++length) {
    cache.append(0, one, one);
    growths += cache.bytes() != before;
    before = cache.bytes();
    ASSERT_GE(before, length * per_position);
    ASSERT_LE(before, (length * 3 / 2 + 2 * 16) * per_position);
  }
  EXPECT_LE(growths, 16);  // by blocks alone it would be 188
}

TEST(TokenCache, EightBitsAreWithinHalfAStepOfEveryNumber) {
  at::manual_seed(1);
  TokenCache cache({.depth = 1, .block = 4, .int8 = true});
  const Written written = fill(cache, {5, 1, 1, 7});
  const auto [keys, values] = read(cache);
  const Tensor step = written.keys.abs().amax(-1, true) / 127;
  EXPECT_TRUE(((keys - written.keys).abs() <= step * 0.5001).all().item<bool>());
  const Tensor value_step = written.values.abs().amax(-1, true) / 127;
  EXPECT_TRUE(((values - written.values).abs() <= value_step * 0.5001).all().item<bool>());
  EXPECT_FALSE(at::equal(keys, written.keys));
}

TEST(TokenCache, EightBitsTakeAThirdOfTheBytesAndReadInTheFormatOfTheInput) {
  TokenCache wide({.depth = 1, .block = 64}), narrow({.depth = 1, .block = 64, .int8 = true});
  fill(wide, {64}), fill(narrow, {64}, at::kBFloat16);
  EXPECT_EQ(wide.bytes(), 2 * 2 * 3 * 64 * 8 * 4);
  EXPECT_EQ(narrow.bytes(), 2 * 2 * 3 * 64 * (8 + 4));
  EXPECT_EQ(read(narrow, 2, at::kBFloat16).first.scalar_type(), at::kBFloat16);
}

TEST(TokenCache, ZerosStayZeroInEightBits) {
  TokenCache cache({.depth = 1, .int8 = true});
  const Tensor zeros = at::zeros({2, 3, 2, 8});
  EXPECT_TRUE(at::equal(cache.append(0, zeros, zeros).first, zeros));
}

TEST(TokenCache, KeepsChosenRowsInTheGivenOrder) {
  for (const bool int8 : {false, true}) {
    TokenCache cache({.depth = 1, .block = 4, .int8 = int8});
    fill(cache, {6});
    const auto [keys, values] = read(cache);
    const Tensor first = keys.clone(), second = values.clone();
    cache.keep(at::tensor({int64_t{1}, int64_t{0}, int64_t{1}}));
    const auto [kept_keys, kept_values] = read(cache, 3);
    EXPECT_TRUE(at::equal(kept_keys, first.index_select(0, at::tensor({int64_t{1}, int64_t{0}, int64_t{1}}))));
    EXPECT_TRUE(at::equal(kept_values[1], second[0]));
    cache.append(0, at::randn({3, 3, 4, 8}), at::randn({3, 3, 4, 8}));
    EXPECT_EQ(cache.length(), 10);
  }
}

TEST(TokenCache, ForgetsAllButABeginning) {
  TokenCache cache({.depth = 1, .block = 4});
  const Written written = fill(cache, {6});
  cache.truncate(2);
  EXPECT_EQ(cache.length(), 2);
  const Tensor next = at::randn({2, 3, 1, 8});
  const auto [keys, values] = cache.append(0, next, next);
  EXPECT_TRUE(at::equal(keys, at::cat({written.keys.narrow(2, 0, 2), next}, 2)));
}

TEST(TokenCache, RefusesABlockOfNothing) {
  EXPECT_THROW(TokenCache({.depth = 1, .block = 0}), UserError);
  EXPECT_THROW(TokenCache({.depth = -1}), UserError);
}

}  // namespace tessera::nn
