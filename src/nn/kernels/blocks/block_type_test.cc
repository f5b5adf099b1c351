// The table of block types, and what rounding to them costs. Bytes are compared with gguf-py's in tests/golden.
#include "nn/kernels/blocks/block_type.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "core/rng.h"
#include "nn/kernels/blocks/half.h"
#include "nn/kernels/blocks/interleave.h"
#include "tensor/gguf.h"

namespace tessera::nn::blocks {
namespace {

/// Close to a normal distribution of spread 1: sums of twelve uniform numbers.
std::vector<float> normal_numbers(int64_t count) {
  Rng rng(5);
  std::vector<float> all(static_cast<size_t>(count), -6.0f);
  for (float& x : all) {
    for (int i = 0; i < 12; ++i) x += static_cast<float>(rng.uniform());
  }
  return all;
}

double rms_error(BlockType type, const std::vector<float>& numbers) {
  const auto count = static_cast<int64_t>(numbers.size());
  std::vector<uint8_t> bytes(static_cast<size_t>(bytes_of(type, count)));
  pack(type, numbers.data(), count, bytes.data());
  std::vector<float> again(numbers.size());
  unpack(type, bytes.data(), count, again.data());
  double squares = 0;
  for (size_t i = 0; i < numbers.size(); ++i) squares += std::pow(numbers[i] - again[i], 2);
  return std::sqrt(squares / static_cast<double>(count));
}

TEST(BlockTypes, AreFoundByNameAndHaveTheSizesOfTheFilesTypes) {
  for (const BlockTypeInfo& each : block_types) {
    EXPECT_EQ(block_type_named(each.name)->type, each.type);
    const GgufType* const stored = gguf_type(each.name);
    ASSERT_NE(stored, nullptr) << each.name;
    EXPECT_EQ(stored->name, each.name);
    EXPECT_EQ(stored->weights, each.weights);
    EXPECT_EQ(stored->bytes, each.bytes);
    EXPECT_EQ(&info(each.type), block_type_named(each.name)) << "the table is in the order of the enum";
  }
  EXPECT_EQ(block_type_named("q9_0"), nullptr);
}

TEST(BlockTypes, TheSearchedOnesLoseLessThanThoseWithOneScaleForAllOfABlock) {
  const std::vector<float> numbers = normal_numbers(1 << 16);
  EXPECT_LT(rms_error(BlockType::q4_k, numbers), 0.9 * rms_error(BlockType::q4_0, numbers));
  EXPECT_LT(rms_error(BlockType::q4_k, numbers), rms_error(BlockType::q4_1, numbers));
  EXPECT_LT(rms_error(BlockType::q5_k, numbers), 0.9 * rms_error(BlockType::q5_0, numbers));
  EXPECT_LT(rms_error(BlockType::q6_k, numbers), 0.018);
}

TEST(BlockTypes, SearchedBlocksKeepZerosConstantsAndEdges) {
  for (const BlockType type : {BlockType::q4_k, BlockType::q5_k, BlockType::q6_k}) {
    for (const float value : {0.0f, 1.0f, -1.0f, 1e-30f, 6e4f}) {
      const std::vector<float> same(256, value);
      EXPECT_LE(rms_error(type, same), 0.02 * std::abs(value) + 1e-6) << info(type).name << " of " << value;
    }
  }
}

TEST(Half, EveryNumberSurvivesTheWayToFloatAndBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float wide = half_to_float(half);
    if (std::isnan(wide)) EXPECT_TRUE(std::isnan(half_to_float(float_to_half(wide))));
    else ASSERT_EQ(float_to_half(wide), half);
  }
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  for (uint16_t half = 0; half < 0x7BFF; ++half) {
    const float low = half_to_float(half), high = half_to_float(static_cast<uint16_t>(half + 1));
    const float middle = low + (high - low) / 2;
    ASSERT_EQ(float_to_half(middle), half % 2 == 0 ? half : half + 1);
    ASSERT_EQ(float_to_half(std::nextafter(middle, 0.0f)), half);
    ASSERT_EQ(float_to_half(-std::nextafter(middle, 1e9f)), 0x8000 | (half + 1));
  }
  EXPECT_EQ(float_to_half(65520), 0x7C00);
  EXPECT_EQ(float_to_half(65519), 0x7BFF);
  EXPECT_EQ(float_to_half(std::numeric_limits<float>::infinity()), 0x7C00);
}

TEST(Interleave, GivesBackEveryByteOfEveryRow) {
  Rng rng(6);
  for (const BlockTypeInfo& each : block_types) {
    if (!interleaves(each.type)) continue;
    const int64_t blocks = 3, row_bytes = blocks * each.bytes;
    std::vector<uint8_t> rows(static_cast<size_t>(tile_rows * row_bytes)), tiles(rows.size()), again(rows.size());
    for (uint8_t& byte : rows) byte = static_cast<uint8_t>(rng.below(256));
    interleave(each.type, rows.data(), row_bytes, blocks, tiles.data());
    for (int64_t r = 0; r < tile_rows; ++r)
      deinterleave(each.type, tiles.data(), r, blocks, again.data() + r * row_bytes);
    EXPECT_EQ(again, rows) << each.name;
    EXPECT_NE(tiles, rows) << each.name;
  }
}

}  // namespace
}  // namespace tessera::nn::blocks
