// Rotary positions along a line (arXiv 2104.09864) in the half-split layout: number j of a head turns with number j +
// head_dim / 2. The turn itself: nn/token_ops.h.
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

}  // namespace tessera::nn
