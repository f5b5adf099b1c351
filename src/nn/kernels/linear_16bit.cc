// Threads and tensors around the loops.
#include "nn/kernels/linear_16bit.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

namespace tessera::nn {

namespace {
constexpr int64_t most_rows_by_kernel = 16;
constexpr int64_t weights_per_thread = 1 << 16;
constexpr int64_t block_of_weights = 1 << 22;  // widened at once

/// x [rows, in] -> [rows, out].
Tensor by_kernel(const Tensor& x, const Tensor& weight) {
  const int64_t rows = x.size(0), in = x.size(1), out = weight.size(0);
  const Tensor y = at::empty({rows, out}, x.options());
  const auto kind = weight.scalar_type() == at::kHalf ? weights16::Kind::fp16 : weights16::Kind::bf16;
  const auto* bits = static_cast<const uint16_t*>(weight.const_data_ptr());
  const float* from = x.const_data_ptr<float>();
  float* to = y.mutable_data_ptr<float>();
  at::parallel_for(0, out, std::max<int64_t>(1, weights_per_thread / in), [&](int64_t begin, int64_t end) {
    weights16::multiply(kind, bits, from, rows, in, out, begin, end, to);
  });
  return y;
}
}  // namespace

Tensor linear_16bit(const Tensor& x, const Tensor& weight) {
  const bool plain = !weight.device().is_cpu() || (at::GradMode::is_enabled() && x.requires_grad());
  if (plain) return at::linear(x, weight.to(x.scalar_type()));
  const Tensor rows = x.reshape({-1, x.size(-1)}).contiguous();
  Tensor y;
  if (weights16::runs() && rows.size(0) <= most_rows_by_kernel && weight.is_contiguous()) {
    y = by_kernel(rows, weight);
  } else {
    y = at::empty({rows.size(0), weight.size(0)}, rows.options());
    const int64_t block = std::max<int64_t>(1, block_of_weights / weight.size(1));
    for (int64_t first = 0; first < weight.size(0); first += block) {
      const Tensor part = weight.narrow(0, first, std::min(block, weight.size(0) - first));
      y.narrow(1, first, part.size(0)).copy_(at::linear(rows, part.to(at::kFloat)));
    }
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return y.view(shape);
}

}  // namespace tessera::nn
