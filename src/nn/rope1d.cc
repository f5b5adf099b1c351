// Angles as ATen calls.
#include "nn/rope1d.h"

#include <ATen/ops/arange.h>
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

}  // namespace tessera::nn
