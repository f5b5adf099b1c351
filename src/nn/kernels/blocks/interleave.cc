// One list of parts for each type, read in both directions; what is not merely moved is changed by a function and its inverse.
#include "nn/kernels/blocks/interleave.h"

#include <cstring>
#include <span>

namespace tessera::nn::blocks {

namespace {

enum class Change { none, sign, high_bits, scale_mins };

/// `bytes` bytes of each block, from `offset`, moved in units of `unit` bytes.
struct BlockPart {
  int offset, bytes, unit;
  Change change = Change::none;
};

std::span<const BlockPart> parts_of(BlockType type) {
  static constexpr BlockPart q8_0[] = {{0, 2, 2}, {2, 32, 4, Change::sign}};
  static constexpr BlockPart q4_0[] = {{0, 2, 2}, {2, 16, 4}};
  static constexpr BlockPart q4_1[] = {{0, 2, 2}, {2, 2, 2}, {4, 16, 4}};
  static constexpr BlockPart q5_0[] = {{0, 2, 2}, {2, 4, 4, Change::high_bits}, {6, 16, 4}};
  static constexpr BlockPart q5_1[] = {{0, 2, 2}, {2, 2, 2}, {4, 4, 4, Change::high_bits}, {8, 16, 4}};
  static constexpr BlockPart q4_k[] = {{0, 2, 2}, {2, 2, 2}, {4, 12, 1, Change::scale_mins}, {16, 128, 4}};
  static constexpr BlockPart q5_k[] = {{0, 2, 2}, {2, 2, 2}, {4, 12, 1, Change::scale_mins}, {16, 32, 4}, {48, 128, 4}};
  static constexpr BlockPart q6_k[] = {{208, 2, 2}, {192, 16, 1}, {0, 128, 4}, {128, 64, 4}};
  switch (type) {
    case BlockType::q8_0:
      return q8_0;
    case BlockType::q4_0:
      return q4_0;
    case BlockType::q4_1:
      return q4_1;
    case BlockType::q5_0:
      return q5_0;
    case BlockType::q5_1:
      return q5_1;
    case BlockType::q4_k:
      return q4_k;
    case BlockType::q5_k:
      return q5_k;
    case BlockType::q6_k:
      return q6_k;
    default:
      return {};
  }
}

/// Swaps bit 4 k + c with bit 8 c + k, for k = 0 to 7 and c = 0 to 3.
uint32_t by_byte(uint32_t bits) {
  uint32_t to = 0;
  for (int i = 0; i < 32; ++i) to |= (bits >> i & 1) << (i % 4 * 8 + i / 4);
  return to;
}

uint32_t by_input(uint32_t bits) {
  uint32_t to = 0;
  for (int i = 0; i < 32; ++i) to |= (bits >> (i % 4 * 8 + i / 4) & 1) << i;
  return to;
}

/// The 12 bytes of eight scales and minima -> eight bytes of low halves, four of high bits.
void split_scale_mins(const uint8_t* from, uint8_t* to) {
  for (int sub = 0; sub < 8; ++sub) {
    const ScaleMin both = scale_min(from, sub);
    to[sub] = static_cast<uint8_t>((both.scale & 15) | (both.min & 15) << 4);
    const int high = both.scale >> 4 | both.min >> 4 << 2;
    to[8 + sub / 2] = static_cast<uint8_t>(sub % 2 == 0 ? high : to[8 + sub / 2] | high << 4);
  }
}

void join_scale_mins(const uint8_t* from, uint8_t* to) {
  ScaleMin all[8];
  for (int sub = 0; sub < 8; ++sub) {
    const int low = from[sub], high = from[8 + sub / 2] >> (sub % 2 * 4);
    all[sub] = {static_cast<uint8_t>((low & 15) | (high & 3) << 4),
                static_cast<uint8_t>(low >> 4 | (high >> 2 & 3) << 4)};
  }
  pack_scale_mins(all, to);
}

uint32_t word_at(const uint8_t* from) {
  uint32_t word;
  std::memcpy(&word, from, 4);
  return word;
}

void put_word(uint32_t word, uint8_t* to) { std::memcpy(to, &word, 4); }

template <int unit> void spread(const uint8_t* from, int bytes, uint8_t* to) {
  for (int i = 0; i < bytes; i += unit) std::memcpy(to + i * tile_rows, from + i, unit);
}

template <int unit> void gather(const uint8_t* from, int bytes, uint8_t* to) {
  for (int i = 0; i < bytes; i += unit) std::memcpy(to + i, from + i * tile_rows, unit);
}

/// One row's part of one block into its place in the tile.
void put(const BlockPart& part, const uint8_t* from, uint8_t* to) {
  if (part.change == Change::sign) {
    for (int i = 0; i < part.bytes; i += 4) put_word(word_at(from + i) ^ 0x80808080u, to + i * tile_rows);
  } else if (part.change == Change::high_bits) {
    put_word(by_byte(word_at(from)), to);
  } else if (part.change == Change::scale_mins) {
    uint8_t split[12];
    split_scale_mins(from, split);
    spread<1>(split, 12, to);
  } else if (part.unit == 4) {
    spread<4>(from, part.bytes, to);
  } else if (part.unit == 2) {
    spread<2>(from, part.bytes, to);
  } else {
    spread<1>(from, part.bytes, to);
  }
}

void take(const BlockPart& part, const uint8_t* from, uint8_t* to) {
  if (part.change == Change::sign) {
    for (int i = 0; i < part.bytes; i += 4) put_word(word_at(from + i * tile_rows) ^ 0x80808080u, to + i);
  } else if (part.change == Change::high_bits) {
    put_word(by_input(word_at(from)), to);
  } else if (part.change == Change::scale_mins) {
    uint8_t split[12];
    gather<1>(from, 12, split);
    join_scale_mins(split, to);
  } else if (part.unit == 4) {
    gather<4>(from, part.bytes, to);
  } else if (part.unit == 2) {
    gather<2>(from, part.bytes, to);
  } else {
    gather<1>(from, part.bytes, to);
  }
}

}  // namespace

bool interleaves(BlockType type) { return !parts_of(type).empty(); }

void interleave(BlockType type, const uint8_t* rows, int64_t stride, int64_t blocks, uint8_t* tiles) {
  const int64_t bytes = info(type).bytes;
  for (int64_t b = 0; b < blocks; ++b, tiles += tile_rows * bytes) {
    for (int64_t r = 0; r < tile_rows; ++r) {
      const uint8_t* block = rows + r * stride + b * bytes;
      uint8_t* to = tiles;
      for (const BlockPart& part : parts_of(type)) {
        put(part, block + part.offset, to + r * part.unit);
        to += part.bytes * tile_rows;
      }
    }
  }
}

void deinterleave(BlockType type, const uint8_t* tiles, int64_t row, int64_t blocks, uint8_t* to) {
  const int64_t bytes = info(type).bytes;
  for (int64_t b = 0; b < blocks; ++b, to += bytes) {
    const uint8_t* from = tiles + b * tile_rows * bytes;
    for (const BlockPart& part : parts_of(type)) {
      take(part, from + row * part.unit, to + part.offset);
      from += part.bytes * tile_rows;
    }
  }
}

}  // namespace tessera::nn::blocks
