// Attention of many positions of one row over keys and values that lie in blocks, on plain arrays: no LibTorch. What a query
// becomes depends on its own numbers and on what it sees, never on the positions beside it.
#pragma once

#include "nn/kernels/block_attention.h"

namespace tessera::nn::blocks {

/// Neighbouring positions with the query heads that share one head of keys and values.
struct Tile {
  const float* q;  // [positions, heads, head_dim], times the softmax scale
  int64_t positions, heads, head_dim;
  int64_t first;   // index of the first position in its row; each sees itself and what is before it
  int64_t window;  // how many it sees at most, itself included; 0: all
  int64_t block_size;
  const Block* blocks;  // those that hold positions 0 to first + positions - 1
  float cap;            // scores become cap * tanh(score / cap); 0: they stay
  float* out;           // [positions, heads, head_dim], positions `stride` numbers apart
  int64_t stride;
};

/// out = softmax(q k^T) v over what each position sees, in fp32; as attend() within rounding. `scratch` is room that is kept between
/// calls.
void attend(Format format, const Tile& tile, std::vector<float>& scratch);

}  // namespace tessera::nn::blocks
