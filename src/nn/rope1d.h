// Rotary positions along a line (arXiv 2104.09864) in the half-split layout: number j of a head turns with number j + head_dim / 2.
#pragma once

#include "tensor/tensor.h"

namespace tessera::nn {

/// theta^(-2j / head_dim) for j < head_dim / 2, [head_dim / 2]. In fp32, as the released models were run: at far
/// positions the rounding of a frequency shows in the angle.
Tensor rope_frequencies(int64_t head_dim, double theta);

/// Angles of positions, each [B or 1, L, head_dim / 2] fp32.
struct Rope1d {
  Tensor cos, sin;
};
/// positions [B or 1, L] int64.
Rope1d rope_1d(const Tensor& positions, const Tensor& frequencies);

/// Turns x [B, L, H, head_dim] by cos and sin [B or 1, L, head_dim / 2]; the result is [B, H, L, head_dim], in x's format.
Tensor turn_halves(const Tensor& x, const Tensor& cos, const Tensor& sin);

}  // namespace tessera::nn
