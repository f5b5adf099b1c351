// Packing, and the products by their plain meaning or by the kernel. What a product means does not depend on the way
// it is taken, up to the rounding that the header names.
#include "nn/packed/packed_weight.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_int_mm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/stack.h>

#include "nn/kernels/int4_kernel.h"
#include "nn/kernels/row_linear.h"

namespace tessera::nn {

namespace {

constexpr int64_t most_rows_by_kernel = 48;      // beyond about so many, unpacking once should be cheaper; not tuned
constexpr int64_t weights_per_thread = 1 << 16;  // that are worth a thread of their own
constexpr int64_t block_of_weights = 1 << 21;    // unpacked at once: they stay in the cache until they are used

bool wants_gradient(const Tensor& x) { return at::GradMode::is_enabled() && x.requires_grad(); }

int4::Weights arrays(const Int4Weight& w) {
  return {.packed = w.packed.const_data_ptr<uint8_t>(),
          .scales = w.scales.const_data_ptr<float>(),
          .zeros = w.zeros.const_data_ptr<uint8_t>(),
          .out = w.packed.size(0),
          .in = w.packed.size(1) * 2,
          .group = w.group};
}

bool has_arrays(const Int4Weight& w) {
  return w.packed.device().is_cpu() && w.packed.is_contiguous() && w.scales.is_contiguous() &&
         w.zeros.is_contiguous() && w.scales.scalar_type() == at::kFloat;
}

/// x [rows, in] fp32 -> [rows, out] fp32.
Tensor by_kernel(const Tensor& x, const int4::Weights& weights) {
  const Tensor y = at::empty({x.size(0), weights.out}, x.options());
  const auto rounded =
      int4::rounded(x.const_data_ptr<float>(), x.size(0), weights.in, weights.group, int4::best_path(weights.group));
  float* to = y.mutable_data_ptr<float>();
  const int64_t grain = std::max<int64_t>(1, weights_per_thread / weights.in);
  at::parallel_for(0, weights.out, grain,
                   [&](int64_t begin, int64_t end) { int4::multiply(weights, rounded, begin, end, to); });
  return y;
}

/// x [rows, in] bfloat16 -> [rows, out] bfloat16.
Tensor by_blocks(const Tensor& x, const int4::Weights& weights) {
  const int64_t block = std::max<int64_t>(32, block_of_weights / weights.in);
  const Tensor y = at::empty({x.size(0), weights.out}, x.options());
  const Tensor unpacked = at::empty({std::min(block, weights.out), weights.in}, x.options());
  auto* to = reinterpret_cast<uint16_t*>(unpacked.mutable_data_ptr<at::BFloat16>());
  const int64_t grain = std::max<int64_t>(1, weights_per_thread / weights.in);
  for (int64_t first = 0; first < weights.out; first += block) {
    const int64_t count = std::min(block, weights.out - first);
    at::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) {
      int4::unpack_bfloat16(weights, first + begin, first + end, to + begin * weights.in);
    });
    y.narrow(1, first, count).copy_(at::linear(x, unpacked.narrow(0, 0, count)));
  }
  return y;
}

}  // namespace

Tensor packed_nibbles(const Tensor& integers) {
  const Tensor pairs = integers.to(at::kByte).unflatten(-1, {-1, 2});
  return pairs.select(-1, 0).bitwise_or(pairs.select(-1, 1).bitwise_left_shift(4)).contiguous();
}

Tensor unpacked_nibbles(const Tensor& packed) {
  return at::stack({packed.bitwise_and(15), packed.bitwise_right_shift(4)}, -1).flatten(-2);
}

Tensor unpacked(const Int4Weight& weight) {
  const Tensor q = unpacked_nibbles(weight.packed).to(at::kFloat);                // [out, in]
  const Tensor grouped = q.unflatten(-1, {weight.scales.size(1), weight.group});  // [out, groups, group]
  return ((grouped - weight.zeros.unsqueeze(-1)) * weight.scales.unsqueeze(-1)).flatten(1);
}

Tensor unpacked(const Int8Weight& weight) { return weight.values.to(at::kFloat) * weight.scales.unsqueeze(1); }

Tensor linear(const Tensor& x, const Int4Weight& weight) {
  const Tensor rows = x.reshape({-1, x.size(-1)});
  if (!x.device().is_cpu() || wants_gradient(x) || !has_arrays(weight) || rows.size(0) == 0) {
    return at::linear(x, unpacked(weight).to(x.scalar_type()));
  }
  const int4::Weights weights = arrays(weight);
  Tensor y;
  if (rows.size(0) <= most_rows_by_kernel || RowByRow::applies_to(x)) {
    y = by_kernel(rows.to(at::kFloat).contiguous(), weights);
  } else if (int4::multiplies_bfloat16()) {
    y = by_blocks(rows.to(at::kBFloat16).contiguous(), weights);
  } else {
    return at::linear(x, unpacked(weight).to(x.scalar_type()));
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weights.out;
  return y.to(x.scalar_type()).view(shape);
}

Tensor linear(const Tensor& x, const Int8Weight& weight) {
  const Tensor rows = x.reshape({-1, x.size(-1)}).to(at::kFloat);
  const Tensor scales = (rows.abs().amax(-1, /*keepdim=*/true) / 127).clamp_min(1e-12);  // [rows, 1]
  const Tensor whole = (rows / scales).round();
  Tensor y;
  if (x.device().is_cpu() && !wants_gradient(x) && rows.size(0) > 0) {
    y = at::_int_mm(whole.to(at::kChar), weight.values.t()).to(at::kFloat);
  } else {
    y = at::linear(whole, weight.values.to(at::kFloat));  // exact while in * 127 * 127 < 2^24; close beyond
  }
  y = y * scales * weight.scales;
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.values.size(0);
  return y.view(shape).to(x.scalar_type());
}

}  // namespace tessera::nn
