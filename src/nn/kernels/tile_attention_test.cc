// Attention in tiles against attention of one position at a time, in every format; and that no tiling changes a bit.
#include "nn/kernels/tile_attention.h"

#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "core/rng.h"

namespace tessera::nn::blocks {
namespace {

struct Shape {
  int64_t head_dim = 64, heads = 3, block = 64, window = 0;
  float cap = 0;
};

/// Keys and values of one head in blocks of random numbers, and queries of all positions.
struct Row {
  static constexpr int64_t length = 150;
  Format format;
  Shape shape;
  std::vector<float> q, key_scales, value_scales;
  std::vector<std::byte> keys, values;
  std::vector<Block> blocks;

  Row(Format with, const Shape& of) : format(with), shape(of) {
    const int64_t room = (length + shape.block - 1) / shape.block * shape.block;
    q = numbers(length * shape.heads * shape.head_dim, 1, 0.3f);
    keys = stored(numbers(room * shape.head_dim, 2, 1));
    values = stored(numbers(room * shape.head_dim, 3, 1));
    key_scales = numbers(room, 4, 0.01f);
    value_scales = numbers(room, 5, 0.01f);
    const size_t bytes = keys.size() / static_cast<size_t>(room);
    for (int64_t at = 0; at < room; at += shape.block) {
      const size_t from = static_cast<size_t>(at) * bytes;
      const bool scaled = format == Format::int8;
      blocks.push_back({keys.data() + from, values.data() + from, scaled ? key_scales.data() + at : nullptr,
                        scaled ? value_scales.data() + at : nullptr});
    }
  }
  static std::vector<float> numbers(int64_t count, uint64_t seed, float size) {
    std::vector<float> all(static_cast<size_t>(count));
    Rng rng(seed);
    for (float& x : all) x = size * static_cast<float>(2 * rng.uniform() - 1);
    return all;
  }
  std::vector<std::byte> stored(const std::vector<float>& from) const {
    const size_t each = format == Format::fp32 ? 4 : format == Format::bf16 ? 2 : 1;
    std::vector<std::byte> bytes(from.size() * each);
    for (size_t i = 0; i < from.size(); ++i) {
      const auto bits = std::bit_cast<uint32_t>(from[i]);
      const auto high = static_cast<uint16_t>(bits >> 16);
      const auto whole = static_cast<int8_t>(from[i] * 127);
      const void* const source = each == 4   ? static_cast<const void*>(&bits)
                                 : each == 2 ? &high
                                             : static_cast<const void*>(&whole);
      std::memcpy(bytes.data() + i * each, source, each);
    }
    return bytes;
  }
  int64_t width() const { return shape.heads * shape.head_dim; }

  /// Positions from `first` on, `each` at a time.
  std::vector<float> by_tiles(int64_t first, int64_t each) const {
    std::vector<float> out(q.size()), scratch;
    for (int64_t at = first; at < length; at += each) {
      attend(format,
             Tile{.q = q.data() + at * width(),
                  .positions = std::min(each, length - at),
                  .heads = shape.heads,
                  .head_dim = shape.head_dim,
                  .first = at,
                  .window = shape.window,
                  .block_size = shape.block,
                  .blocks = blocks.data(),
                  .cap = shape.cap,
                  .out = out.data() + at * width(),
                  .stride = width()},
             scratch);
    }
    return out;
  }
  std::vector<float> one_by_one(int64_t first) const {
    std::vector<float> out(q.size()), scratch;
    for (int64_t at = first; at < length; ++at) {
      attend(format,
             Query{.q = q.data() + at * width(),
                   .heads = shape.heads,
                   .head_dim = shape.head_dim,
                   .begin = shape.window > 0 ? std::max<int64_t>(0, at + 1 - shape.window) : 0,
                   .end = at + 1,
                   .block_size = shape.block,
                   .blocks = blocks.data(),
                   .cap = shape.cap,
                   .out = out.data() + at * width()},
             scratch);
    }
    return out;
  }
};

const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all = {{},
                                         {.head_dim = 80, .heads = 1},
                                         {.head_dim = 96, .heads = 2, .window = 70},
                                         {.head_dim = 128, .heads = 8, .cap = 2},
                                         {.head_dim = 256, .heads = 1, .block = 128},
                                         {.head_dim = 20, .heads = 7, .block = 4, .window = 5, .cap = 0.5},
                                         {.head_dim = 8, .heads = 2, .block = 48}};
  return all;
}

class TileAttention : public ::testing::TestWithParam<Format> {};

TEST_P(TileAttention, EqualsAttentionOfOnePositionAtATime) {
  for (const Shape& shape : shapes()) {
    const Row row(GetParam(), shape);
    for (const int64_t first : {0, 37}) {
      const std::vector<float> want = row.one_by_one(first), got = row.by_tiles(first, 40);
      EXPECT_THAT(got, ::testing::Pointwise(::testing::FloatNear(2e-5f), want)) << shape.head_dim << " from " << first;
    }
  }
}

TEST_P(TileAttention, HasTheSameBitsInTilesOfAnyLength) {
  for (const Shape& shape : shapes()) {
    const Row row(GetParam(), shape);
    const std::vector<float> want = row.by_tiles(0, Row::length);
    for (const int64_t each : {1, 2, 7, 64}) EXPECT_EQ(row.by_tiles(0, each), want) << shape.head_dim << " by " << each;
  }
}

std::string name_of(const ::testing::TestParamInfo<Format>& info) {
  return info.param == Format::fp32 ? "fp32" : info.param == Format::bf16 ? "bf16" : "int8";
}
INSTANTIATE_TEST_SUITE_P(Formats, TileAttention, ::testing::Values(Format::fp32, Format::bf16, Format::int8), name_of);

}  // namespace
}  // namespace tessera::nn::blocks
