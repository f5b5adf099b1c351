// Attention of one position over keys and values that lie in blocks, on plain arrays: no LibTorch. Numbers are read as they
// are stored, 8-bit ones too, and the order of sums depends on the positions alone.
#pragma once

#include <cstdint>
#include <vector>

namespace tessera::nn::blocks {

/// How keys and values are stored: fp32, bf16 as its bits, or 8-bit integers with an fp32 scale per position.
enum class Format { fp32, bf16, int8 };

/// One block of one head of keys and values.
struct Block {
  const void *keys, *values;               // [block size, head_dim]
  const float *key_scales, *value_scales;  // [block size], int8 only
};

/// The query heads that share one head of keys and values.
struct Query {
  const float* q;  // [heads, head_dim], times the softmax scale
  int64_t heads, head_dim;
  int64_t begin, end;  // positions that are visible: from begin to before end; end > begin
  int64_t block_size;
  const Block* blocks;  // those that hold positions 0 to end
  float cap;            // scores become cap * tanh(score / cap); 0: they stay
  float* out;           // [heads, head_dim]
};

/// out = softmax(q k^T) v over the visible positions, in fp32. `scratch` is room that is kept between calls.
void attend(Format format, const Query& query, std::vector<float>& scratch);

}  // namespace tessera::nn::blocks
