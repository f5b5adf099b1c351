// Angles and the turn as ATen calls.
#include "nn/rope1d.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/pow.h>

namespace tessera::nn {

Tensor rope_frequencies(int64_t head_dim, double theta) {
  const Tensor exponents = at::arange(0, head_dim, 2, at::kFloat) / head_dim;
  return at::pow(at::Scalar(theta), exponents).reciprocal();
}

Rope1d rope_1d(const Tensor& positions, const Tensor& frequencies) {
  const Tensor angles = positions.to(at::kFloat).unsqueeze(-1) * frequencies;  // [B or 1, L, head_dim / 2]
  return {angles.cos(), angles.sin()};
}

Tensor turn_halves(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  const int64_t half = x.size(-1) / 2;
  const Tensor across = x.transpose(1, 2);  // [B, H, L, head_dim]
  const Tensor low = across.narrow(-1, 0, half), high = across.narrow(-1, half, half);
  const Tensor c = cos.unsqueeze(1), s = sin.unsqueeze(1);  // [B or 1, 1, L, head_dim / 2]
  return at::cat({low * c - high * s, high * c + low * s}, -1).to(x.scalar_type());
}

}  // namespace tessera::nn
