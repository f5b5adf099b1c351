// Threads and tensors around the loops.
#include "nn/kernels/row_linear.h"

#include <algorithm>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

namespace tessera::nn {

namespace {
constexpr int64_t most_rows_by_kernel = 16;  // of linear_16bit
constexpr int64_t deepest_by_tiles = 1024;   // inputs; LibTorch's products of deeper rows are faster
constexpr int64_t weights_per_thread = 1 << 16;
constexpr int64_t block_of_weights = 1 << 22;  // widened at once

thread_local bool row_by_row = false;

rows::Kind kind_of(const Tensor& weight) {
  if (weight.scalar_type() == at::kFloat) return rows::Kind::fp32;
  return weight.scalar_type() == at::kHalf ? rows::Kind::fp16 : rows::Kind::bf16;
}

bool has_kind(const Tensor& weight) {
  const at::ScalarType type = weight.scalar_type();
  return type == at::kFloat || type == at::kHalf || type == at::kBFloat16;
}

/// Calls f(begin, end) for the columns of a product with `weight`.
template <class F> void by_columns(const Tensor& weight, F f) {
  at::parallel_for(0, weight.size(0), std::max<int64_t>(1, weights_per_thread / weight.size(1)), f);
}

/// x [rows, in] fp32 -> [rows, out] fp32. With `in_bf16`, x is rounded where the weight and the processor allow it; beside fp16, whose
/// weight is rounded too, only of `many` rows.
Tensor by_kernel(const Tensor& x, const Tensor& weight, bool in_bf16 = false, bool many = false) {
  const int64_t count = x.size(0), in = x.size(1), out = weight.size(0);
  const Tensor y = at::empty({count, out}, x.options());
  const rows::Kind kind = kind_of(weight);
  const void* const numbers = weight.const_data_ptr();
  const float* const from = x.const_data_ptr<float>();
  float* const to = y.mutable_data_ptr<float>();
  const bool rounds = kind == rows::Kind::bf16 || (kind == rows::Kind::fp16 && many);
  if (in_bf16 && rounds && rows::has_bf16_dot()) {
    std::vector<uint16_t> rounded(static_cast<size_t>(count * in));
    at::parallel_for(0, count, std::max<int64_t>(1, weights_per_thread / in), [&](int64_t begin, int64_t end) {
      rows::round_to_bf16(from + begin * in, (end - begin) * in, rounded.data() + begin * in);
    });
    const auto multiply = kind == rows::Kind::bf16 ? rows::multiply_bf16 : rows::multiply_fp16_in_bf16;
    by_columns(weight, [&](int64_t begin, int64_t end) {
      multiply(static_cast<const uint16_t*>(numbers), rounded.data(), count, in, out, begin, end, to);
    });
  } else {
    by_columns(weight, [&](int64_t begin, int64_t end) {
      rows::multiply(kind, numbers, from, count, in, out, begin, end, to);
    });
  }
  return y;
}

Tensor shaped_like(const Tensor& y, const Tensor& x) {
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = y.size(-1);
  return y.view(shape);
}
}  // namespace

RowByRow::RowByRow(bool on) : before_(row_by_row) { row_by_row = on; }
RowByRow::~RowByRow() { row_by_row = before_; }
bool RowByRow::applies_to(const Tensor& x) { return row_by_row && x.is_cpu(); }

Tensor row_linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Tensor flat = x.reshape({-1, x.size(-1)});
  Tensor y;
  if (rows::runs() && has_kind(weight) && weight.is_contiguous()) {
    y = by_kernel(flat.to(at::kFloat).contiguous(), weight);
    if (present(bias)) y = y + bias.to(at::kFloat);
    y = y.to(x.scalar_type());
  } else {
    std::vector<Tensor> each;  // one row at a time takes one path
    for (int64_t r = 0; r < flat.size(0); ++r)
      each.push_back(present(bias) ? at::linear(flat.narrow(0, r, 1), weight, bias)
                                   : at::linear(flat.narrow(0, r, 1), weight));
    y = each.empty() ? at::empty({0, weight.size(0)}, x.options()) : at::cat(each);
  }
  return shaped_like(y, x);
}

Tensor product(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (RowByRow::applies_to(x)) return row_linear(x, weight, bias);
  return at::linear(x, weight, present(bias) ? std::optional<Tensor>(bias) : std::nullopt);
}

Tensor elementwise(const Tensor& x, const std::function<Tensor(const Tensor&)>& f) {
  if (!RowByRow::applies_to(x)) return f(x);
  const Tensor flat = x.reshape({-1, x.size(-1)});
  if (flat.size(0) <= 1) return f(x);
  std::vector<Tensor> each;
  for (int64_t r = 0; r < flat.size(0); ++r) each.push_back(f(flat.narrow(0, r, 1)));
  return at::cat(each).view_as(x);
}

Tensor linear_16bit(const Tensor& x, const Tensor& weight, bool many_in_bf16) {
  const bool plain = !weight.device().is_cpu() || (at::GradMode::is_enabled() && x.requires_grad());
  if (plain) return at::linear(x, weight.to(x.scalar_type()));
  const Tensor flat = x.reshape({-1, x.size(-1)}).contiguous();
  const bool few = flat.size(0) <= most_rows_by_kernel || RowByRow::applies_to(x);
  if (rows::runs() && few && weight.is_contiguous()) return shaped_like(by_kernel(flat, weight, many_in_bf16), x);
  if (RowByRow::applies_to(x)) return row_linear(x, weight.to(x.scalar_type()));
  const bool by_tiles = rows::bf16_dot_suits_many() && weight.is_contiguous() && weight.element_size() == 2;
  if (many_in_bf16 && by_tiles && weight.size(1) <= deepest_by_tiles)
    return shaped_like(by_kernel(flat, weight, /*in_bf16=*/true, /*many=*/true), x);
  const at::ScalarType type = many_in_bf16 ? at::kBFloat16 : at::kFloat;
  const Tensor rows = flat.to(type), y = at::empty({flat.size(0), weight.size(0)}, flat.options());
  const int64_t block = std::max<int64_t>(1, block_of_weights / weight.size(1));
  for (int64_t first = 0; first < weight.size(0); first += block) {
    const Tensor part = weight.narrow(0, first, std::min(block, weight.size(0) - first));
    y.narrow(1, first, part.size(0)).copy_(at::linear(rows, part.to(type)));
  }
  return shaped_like(y, x);
}

}  // namespace tessera::nn
