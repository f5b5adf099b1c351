// Normalisation over the last dimension: LayerNorm with and without its affine part, and RMSNorm (AdaLN: nn/kernels/fused.h).
#pragma once

#include "tensor/module.h"

namespace tessera::nn {

/// (x - mean) / sqrt(variance + eps) over the last dimension; no affine part.
Tensor layer_norm(const Tensor& x, double eps = 1e-6);

struct LayerNorm {
  Tensor weight, bias;  // [C]
  double eps = 1e-6;

  LayerNorm() = default;
  explicit LayerNorm(int64_t width);
  Tensor forward(const Tensor& x) const;
};
template <class V> void tensors(V& v, LayerNorm& m) {
  v("weight", m.weight);
  v("bias", m.bias);
}

/// x / sqrt(mean(x^2) + eps) * weight, or * (1 + weight).
struct RmsNorm {
  Tensor weight;  // [C]
  double eps = 1e-6;
  bool plus_one = false;  // the weight is stored less 1 (Gemma)

  RmsNorm() = default;
  /// Starts as the identity.
  explicit RmsNorm(int64_t width, double eps = 1e-6, bool plus_one = false);
  /// Summed in fp32; the result has x's format.
  Tensor forward(const Tensor& x) const;
};
template <class V> void tensors(V& v, RmsNorm& m) { v("weight", m.weight); }

}  // namespace tessera::nn
