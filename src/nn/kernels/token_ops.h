// Steps of a decoder block as one pass over memory, with their own backward. On the CPU in fp32 and bfloat16 they run
// by hand-written loops; elsewhere each falls back to the same thing in ATen calls (the *_composed form).
#pragma once

#include "tensor/tensor.h"

namespace tessera::nn {

/// x / sqrt(mean(x^2) + eps) * (weight + offset) over the last dimension, summed in fp32; offset is 0 or 1. The result
/// has x's format; under bfloat16 autocast on the CPU it is bfloat16 already, which is what the products after it
/// would round it to.
Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps, double offset);
Tensor rms_norm_composed(const Tensor& x, const Tensor& weight, double eps, double offset);

/// Turns x [B, L, H, head_dim] by cos and sin [B or 1, L, head_dim / 2] fp32, half-split; the result is [B, H, L,
/// head_dim].
Tensor rotate_halves(const Tensor& x, const Tensor& cos, const Tensor& sin);
Tensor rotate_halves_composed(const Tensor& x, const Tensor& cos, const Tensor& sin);

/// silu(gate) * up, of the same shape and format.
Tensor gated_silu(const Tensor& gate, const Tensor& up);
Tensor gated_silu_composed(const Tensor& gate, const Tensor& up);

}  // namespace tessera::nn
