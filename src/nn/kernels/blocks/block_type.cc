// The plain way from blocks to numbers. Products and sums are rounded one by one, as NumPy rounds
// them: this file is compiled without fused multiply-adds.
#include "nn/kernels/blocks/block_type.h"

#include "nn/kernels/blocks/half.h"

namespace tessera::nn::blocks {

const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

namespace {

int high_bit(const uint8_t* bits, int i) { return bits[i / 8] >> (i % 8) & 1; }

void unpack_q4_0(const uint8_t* b, float* to) {
  const float d = load_half(b);
  for (int j = 0; j < 16; ++j) {
    to[j] = d * static_cast<float>((b[2 + j] & 15) - 8);
    to[j + 16] = d * static_cast<float>((b[2 + j] >> 4) - 8);
  }
}

void unpack_q4_1(const uint8_t* b, float* to) {
  const float d = load_half(b), m = load_half(b + 2);
  for (int j = 0; j < 16; ++j) {
    to[j] = d * static_cast<float>(b[4 + j] & 15) + m;
    to[j + 16] = d * static_cast<float>(b[4 + j] >> 4) + m;
  }
}

void unpack_q5_0(const uint8_t* b, float* to) {
  const float d = load_half(b);
  for (int j = 0; j < 16; ++j) {
    to[j] = d * static_cast<float>((b[6 + j] & 15) + 16 * high_bit(b + 2, j) - 16);
    to[j + 16] = d * static_cast<float>((b[6 + j] >> 4) + 16 * high_bit(b + 2, j + 16) - 16);
  }
}

void unpack_q5_1(const uint8_t* b, float* to) {
  const float d = load_half(b), m = load_half(b + 2);
  for (int j = 0; j < 16; ++j) {
    to[j] = d * static_cast<float>((b[8 + j] & 15) + 16 * high_bit(b + 4, j)) + m;
    to[j + 16] = d * static_cast<float>((b[8 + j] >> 4) + 16 * high_bit(b + 4, j + 16)) + m;
  }
}

void unpack_q8_0(const uint8_t* b, float* to) {
  const float d = load_half(b);
  for (int j = 0; j < 32; ++j) to[j] = static_cast<float>(static_cast<int8_t>(b[2 + j])) * d;
}

/// Sixteens of a block of 256 whose numbers lie as those of q2_K, q3_K and q6_K do: number g of them, [0, 16), has inputs 16 g to
/// 16 g + 15. `byte` is where the first of them lies in a row of 32 bytes for each half of the block, `part` which of the four
/// pieces of those bytes is theirs.
struct Sixteen {
  explicit Sixteen(int g) : half(g / 8), part(g % 8 / 2), byte(32 * half + g % 2 * 16) {}
  int half, part, byte;
};

/// scales [16] (low half scale, high half minimum), quants [64], d, dmin.
void unpack_q2_k(const uint8_t* b, float* to) {
  const float d = load_half(b + 80), dmin = load_half(b + 82);
  for (int g = 0; g < 16; ++g, to += 16) {
    const Sixteen at(g);
    const float scale = d * static_cast<float>(b[g] & 15), min = dmin * static_cast<float>(b[g] >> 4);
    for (int i = 0; i < 16; ++i) to[i] = scale * static_cast<float>(b[16 + at.byte + i] >> (2 * at.part) & 3) - min;
  }
}

/// high bits [32], quants [64], sixteen 6-bit scales [12], d.
void unpack_q3_k(const uint8_t* b, float* to) {
  const uint8_t* scales = b + 96;
  const float d = load_half(b + 108);
  for (int g = 0; g < 16; ++g, to += 16) {
    const Sixteen at(g);
    const int low = scales[g % 8] >> (g / 8 * 4) & 15, high = scales[8 + g % 4] >> (g / 4 * 2) & 3;
    const float scale = d * static_cast<float>((low | high << 4) - 32);
    for (int i = 0; i < 16; ++i) {
      const int q = b[32 + at.byte + i] >> (2 * at.part) & 3;
      const int bit = b[g % 2 * 16 + i] >> (g / 2) & 1;  // zero takes four off
      to[i] = scale * static_cast<float>(q + 4 * bit - 4);
    }
  }
}

/// d, dmin, scales and minima [12], quants [128]; q5_K has its high bits [32] before the quants.
void unpack_q4_or_q5_k(const uint8_t* b, bool five, float* to) {
  const float d = load_half(b), dmin = load_half(b + 2);
  const uint8_t *high = b + 16, *quants = five ? b + 48 : b + 16;
  for (int sub = 0; sub < 8; ++sub, to += 32) {
    const ScaleMin both = scale_min(b + 4, sub);
    const float scale = d * static_cast<float>(both.scale), min = dmin * static_cast<float>(both.min);
    for (int i = 0; i < 32; ++i) {
      int q = quants[sub / 2 * 32 + i] >> (sub % 2 * 4) & 15;
      if (five) q |= (high[i] >> sub & 1) << 4;
      to[i] = scale * static_cast<float>(q) - min;
    }
  }
}

void unpack_q4_k(const uint8_t* b, float* to) { unpack_q4_or_q5_k(b, false, to); }
void unpack_q5_k(const uint8_t* b, float* to) { unpack_q4_or_q5_k(b, true, to); }

/// low halves [128], high bits [64], scales [16], d.
void unpack_q6_k(const uint8_t* b, float* to) {
  const float d = load_half(b + 208);
  for (int g = 0; g < 16; ++g, to += 16) {
    const Sixteen at(g);
    const uint8_t *low = b + 32 * at.half + at.byte + 32 * (at.part % 2), *high = b + 128 + at.byte;
    const float scale = d * static_cast<float>(static_cast<int8_t>(b[192 + g]));
    for (int i = 0; i < 16; ++i) {
      const int q = (low[i] >> (at.part / 2 * 4) & 15) | (high[i] >> (2 * at.part) & 3) << 4;
      to[i] = scale * static_cast<float>(q - 32);
    }
  }
}

void unpack_iq4_nl(const uint8_t* b, float* to) {
  const float d = load_half(b);
  for (int j = 0; j < 16; ++j) {
    to[j] = d * static_cast<float>(iq4_values[b[2 + j] & 15]);
    to[j + 16] = d * static_cast<float>(iq4_values[b[2 + j] >> 4]);
  }
}

/// d, high bits of the scales [2], low halves of the scales [4], quants [128].
void unpack_iq4_xs(const uint8_t* b, float* to) {
  const float d = load_half(b);
  const int high = b[2] | b[3] << 8;
  for (int sub = 0; sub < 8; ++sub, to += 32) {
    const int scale = (b[4 + sub / 2] >> (sub % 2 * 4) & 15) | (high >> (2 * sub) & 3) << 4;
    const float factor = d * static_cast<float>(scale - 32);
    for (int j = 0; j < 16; ++j) {
      const uint8_t both = b[8 + 16 * sub + j];
      to[j] = factor * static_cast<float>(iq4_values[both & 15]);
      to[j + 16] = factor * static_cast<float>(iq4_values[both >> 4]);
    }
  }
}

using UnpackBlock = void (*)(const uint8_t*, float*);
/// In the order of BlockType.
constexpr UnpackBlock unpack_block[] = {unpack_q4_0, unpack_q4_1, unpack_q5_0,   unpack_q5_1,
                                        unpack_q8_0, unpack_q2_k, unpack_q3_k,   unpack_q4_k,
                                        unpack_q5_k, unpack_q6_k, unpack_iq4_nl, unpack_iq4_xs};

}  // namespace

const BlockTypeInfo* block_type_named(std::string_view name) {
  for (const BlockTypeInfo& each : block_types) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

void unpack(BlockType type, const uint8_t* bytes, int64_t count, float* to) {
  const BlockTypeInfo& what = info(type);
  const UnpackBlock one = unpack_block[static_cast<size_t>(type)];
  for (int64_t i = 0; i < count; i += what.weights, bytes += what.bytes) one(bytes, to + i);
}

void pack_scale_mins(const ScaleMin (&from)[8], uint8_t* to) {
  for (int i = 0; i < 4; ++i) {
    const ScaleMin low = from[i], high = from[i + 4];
    to[i] = static_cast<uint8_t>(low.scale | (high.scale >> 4) << 6);
    to[i + 4] = static_cast<uint8_t>(low.min | (high.min >> 4) << 6);
    to[i + 8] = static_cast<uint8_t>((high.scale & 15) | (high.min & 15) << 4);
  }
}

}  // namespace tessera::nn::blocks
