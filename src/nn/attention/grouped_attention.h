// Causal attention where several query heads share one head of keys and values (GQA, arXiv 2305.13245). Shared heads
// are not repeated in memory where the kernels allow it.
#pragma once

#include <optional>

#include "tensor/tensor.h"

namespace tessera::nn {

struct GroupedOptions {
  /// Additive, fp32, [B or 1, 1, L, S]. Absent: causal over L == S positions, or everything visible when L is 1.
  Tensor mask = {};
  double scale = 1;                // of the scores
  std::optional<double> cap = {};  // scores become cap * tanh(scores / cap) before the mask
};

/// softmax(scale * q k^T + mask) v. q [B, H, L, head_dim], k and v [B, G, S, head_dim], H a multiple of G.
/// Returns [B, L, H * head_dim]. The softmax is summed in fp32 for any format.
Tensor attend_grouped(const Tensor& q, const Tensor& k, const Tensor& v, const GroupedOptions& options);

}  // namespace tessera::nn
