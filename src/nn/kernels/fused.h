// Chains of element-wise steps as one pass over memory, with their own backward. On the CPU in fp32 these run by hand-written
// loops, under autocast too, where what comes out of a product in bfloat16 is widened first. Elsewhere each falls back to the
// same chain of ATen calls (the *_composed form).
#pragma once

#include "nn/attention/rope.h"
#include "tensor/tensor.h"

namespace tessera::nn {

/// Queries, keys and values, each [B, H, L, head_dim].
struct Heads {
  Tensor q, k, v;
};

/// Splits a fused projection qkv [B, L, 3 * H * head_dim]; q and k are L2-normalised (eps 1e-12) and turned by the rotary
/// angles, q is multiplied by scale [H].
Heads cosine_heads(const Tensor& qkv, const Tensor& scale, const Rope2d& rope);
Heads cosine_heads_composed(const Tensor& qkv, const Tensor& scale, const Rope2d& rope);

/// layer_norm(x) * (1 + scale) + shift, the AdaLN of DiT. x [B, L, C], scale and shift [B, 1, C].
Tensor modulated_norm(const Tensor& x, const Tensor& scale, const Tensor& shift, double eps = 1e-6);
Tensor modulated_norm_composed(const Tensor& x, const Tensor& scale, const Tensor& shift, double eps = 1e-6);

/// x + gate * y. x and y [B, L, C], gate [B, 1, C].
Tensor gated_add(const Tensor& x, const Tensor& gate, const Tensor& y);

}  // namespace tessera::nn
