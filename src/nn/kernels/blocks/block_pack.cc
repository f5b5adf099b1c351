// Rounding to the blocks of 32, step by step as gguf-py's quants.py does it in fp32, so that the bytes are the same. This
// file is compiled without fused multiply-adds.
#include <algorithm>
#include <cmath>

#include "nn/kernels/blocks/block_type.h"
#include "nn/kernels/blocks/half.h"

namespace tessera::nn::blocks {

namespace {

/// One step of the grid and its inverse.
struct Step {
  float size, inverse;
};
Step step_of(float size) {
  const float inverse = 1 / size;
  return {size, std::isfinite(inverse) ? inverse : 0};  // what is too small for fp16 by far is zero there
}

uint8_t clamped(float value, float largest) { return static_cast<uint8_t>(std::clamp(value, 0.0f, largest)); }

/// The number of largest magnitude, the first of them, with its sign.
float extreme(const float* x) {
  return *std::max_element(x, x + 32, [](float a, float b) { return std::abs(a) < std::abs(b); });
}

/// Symmetric: the extreme becomes the lowest whole number, -half.
void round_symmetric(const float* x, int half, float* step, uint8_t (&q)[32]) {
  const Step s = step_of(extreme(x) / static_cast<float>(-half));
  for (int i = 0; i < 32; ++i)
    q[i] = clamped(x[i] * s.inverse + (static_cast<float>(half) + 0.5f), static_cast<float>(2 * half - 1));
  *step = s.size;
}

/// From the least to the greatest.
void round_range(const float* x, int largest, float* step, float* min, uint8_t (&q)[32]) {
  const auto [low, high] = std::minmax_element(x, x + 32);
  const Step s = step_of((*high - *low) / static_cast<float>(largest));
  for (int i = 0; i < 32; ++i) q[i] = clamped((x[i] - *low) * s.inverse + 0.5f, static_cast<float>(largest));
  *step = s.size;
  *min = *low;
}

void write_halves(const uint8_t (&q)[32], uint8_t* to) {
  for (int j = 0; j < 16; ++j) to[j] = static_cast<uint8_t>((q[j] & 15) | (q[j + 16] & 15) << 4);
}

void write_high_bits(const uint8_t (&q)[32], uint8_t* to) {
  std::fill_n(to, 4, uint8_t{0});
  for (int j = 0; j < 32; ++j) to[j / 8] = static_cast<uint8_t>(to[j / 8] | (q[j] >> 4) << (j % 8));
}

void pack_symmetric(const float* x, bool five, uint8_t* to) {
  uint8_t q[32];
  float step;
  round_symmetric(x, five ? 16 : 8, &step, q);
  store_half(step, to);
  if (five) write_high_bits(q, to + 2);
  write_halves(q, five ? to + 6 : to + 2);
}

void pack_range(const float* x, bool five, uint8_t* to) {
  uint8_t q[32];
  float step, min;
  round_range(x, five ? 31 : 15, &step, &min, q);
  store_half(step, to);
  store_half(min, to + 2);
  if (five) write_high_bits(q, to + 4);
  write_halves(q, five ? to + 8 : to + 4);
}

void pack_q8_0(const float* x, uint8_t* to) {
  const Step s = step_of(std::abs(extreme(x)) / 127);
  store_half(s.size, to);
  for (int i = 0; i < 32; ++i)
    to[2 + i] = static_cast<uint8_t>(static_cast<int8_t>(std::clamp(std::round(x[i] * s.inverse), -127.0f, 127.0f)));
}

}  // namespace

bool packs(BlockType type) {
  using enum BlockType;
  return type == q4_0 || type == q4_1 || type == q5_0 || type == q5_1 || type == q8_0 || type == q4_k || type == q5_k ||
         type == q6_k;
}

void pack(BlockType type, const float* from, int64_t count, uint8_t* to) {
  using enum BlockType;
  const BlockTypeInfo& what = info(type);
  for (int64_t i = 0; i < count; i += what.weights, from += what.weights, to += what.bytes) {
    if (type == q4_0 || type == q5_0) pack_symmetric(from, type == q5_0, to);
    else if (type == q4_1 || type == q5_1) pack_range(from, type == q5_1, to);
    else if (type == q8_0) pack_q8_0(from, to);
    else pack_k_block(type, from, to);
  }
}

}  // namespace tessera::nn::blocks
