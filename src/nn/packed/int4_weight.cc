// Products by the kernel or by blocks of unpacked rows, and rounding in fp32 by whole-tensor steps. What a product means
// does not depend on the way it is taken, up to the rounding that the header names.
#include "nn/packed/int4_weight.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/autograd/grad_mode.h>

#include "nn/kernels/int4_kernel.h"
#include "nn/kernels/row_linear.h"
#include "nn/packed/awq_layout.h"

namespace tessera::nn {

namespace {

constexpr int64_t int4_rows_by_kernel = 48;   // beyond about so many, unpacking once should be cheaper; not tuned
constexpr int64_t int4_per_thread = 1 << 16;  // that are worth a thread of their own
constexpr int64_t int4_at_once = 1 << 21;     // unpacked at once: they stay in the cache until they are used

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
  const int64_t grain = std::max<int64_t>(1, int4_per_thread / weights.in);
  at::parallel_for(0, weights.out, grain,
                   [&](int64_t begin, int64_t end) { int4::multiply(weights, rounded, begin, end, to); });
  return y;
}

/// x [rows, in] bfloat16 -> [rows, out] bfloat16.
Tensor by_blocks(const Tensor& x, const int4::Weights& weights) {
  const int64_t block = std::max<int64_t>(32, int4_at_once / weights.in);
  const Tensor y = at::empty({x.size(0), weights.out}, x.options());
  const Tensor unpacked = at::empty({std::min(block, weights.out), weights.in}, x.options());
  auto* to = reinterpret_cast<uint16_t*>(unpacked.mutable_data_ptr<at::BFloat16>());
  const int64_t grain = std::max<int64_t>(1, int4_per_thread / weights.in);
  for (int64_t first = 0; first < weights.out; first += block) {
    const int64_t count = std::min(block, weights.out - first);
    at::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) {
      int4::unpack_bfloat16(weights, first + begin, first + end, to + begin * weights.in);
    });
    y.narrow(1, first, count).copy_(at::linear(x, unpacked.narrow(0, 0, count)));
  }
  return y;
}

class Int4RowProduct final : public RowProduct {
 public:
  explicit Int4RowProduct(Int4Weight weight)
      : weight_(std::move(weight)), arrays_(arrays(weight_)), path_(int4::best_path(arrays_.group)) {}
  int64_t out() const override { return arrays_.out; }
  int64_t in() const override { return arrays_.in; }
  int64_t preparation() const override { return (int64_t{1} << 32) + arrays_.group; }
  void prepare(const float* x, int64_t rows, RowScratch& scratch) const override {
    scratch.int4 = int4::rounded(x, rows, arrays_.in, arrays_.group, path_);
  }
  void multiply(const float*, int64_t, const RowScratch& scratch, int64_t begin, int64_t end, float* y) const override {
    int4::multiply(arrays_, scratch.int4, begin, end, y);
  }

 private:
  Int4Weight weight_;
  int4::Weights arrays_;
  int4::Path path_;
};

struct Grid {
  Tensor scales, zeros;  // [out, groups] fp32; zeros are whole numbers
};

Grid grid_of(const Ranges& ranges) {
  constexpr double least = 6e-8, largest = 65504;  // of fp16; a group of zeros has no range
  const Tensor scales = ((ranges.high - ranges.low) / 15).clamp(least, largest).to(at::kHalf).to(at::kFloat);
  return {scales, (-ranges.low / scales).round().clamp(0, 15)};
}

Tensor grouped(const Tensor& weight, int64_t group) {
  return weight.detach().to(at::kFloat).unflatten(-1, {-1, group});  // [out, groups, group]
}

/// Whole numbers 0 to 15 as fp32, [out, groups, group].
Tensor integers(const Tensor& weight, int64_t group, const Grid& grid) {
  return (grouped(weight, group) / grid.scales.unsqueeze(-1)).round_().add_(grid.zeros.unsqueeze(-1)).clamp_(0, 15);
}

}  // namespace

Tensor packed_nibbles(const Tensor& integers) {
  const Tensor pairs = integers.to(at::kByte).unflatten(-1, {-1, 2});
  return pairs.select(-1, 0).bitwise_or(pairs.select(-1, 1).bitwise_left_shift(4)).contiguous();
}

Tensor unpacked_nibbles(const Tensor& packed) {
  return at::stack({packed.bitwise_and(15), packed.bitwise_right_shift(4)}, -1).flatten(-2);
}

Tensor Int4Weight::rows(int64_t first, int64_t count) const {
  const Tensor q = unpacked_nibbles(packed.narrow(0, first, count)).to(at::kFloat);  // [count, in]
  const Tensor by_group = q.unflatten(-1, {scales.size(1), group});                  // [count, groups, group]
  const Tensor zero = zeros.narrow(0, first, count).unsqueeze(-1), scale = scales.narrow(0, first, count).unsqueeze(-1);
  return ((by_group - zero) * scale).flatten(1);
}

Tensor Int4Weight::product(const Tensor& x) const {
  const Tensor rows = x.reshape({-1, x.size(-1)});
  const auto plain = [&] { return at::linear(x, unpack().to(x.scalar_type())); };
  if (!x.device().is_cpu() || !has_arrays(*this) || rows.size(0) == 0) return plain();
  const int4::Weights weights = arrays(*this);
  Tensor y;
  if (rows.size(0) <= int4_rows_by_kernel || RowByRow::applies_to(x)) {
    y = by_kernel(rows.to(at::kFloat).contiguous(), weights);
  } else if (int4::multiplies_bfloat16()) {
    y = by_blocks(rows.to(at::kBFloat16).contiguous(), weights);
  } else {
    return plain();
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weights.out;
  return y.to(x.scalar_type()).view(shape);
}

std::shared_ptr<const RowProduct> Int4Weight::row_product() const {
  return has_arrays(*this) ? std::make_shared<Int4RowProduct>(*this) : nullptr;
}

std::vector<NamedTensor> Int4Weight::stored() const {
  const AwqTensors awq = to_awq(*this);
  return {{".qweight", awq.qweight}, {".qzeros", awq.qzeros}, {".scales", awq.scales}};
}

std::shared_ptr<const PackedWeight> Int4Weight::to(at::Device device) const {
  return std::make_shared<Int4Weight>(packed.to(device), scales.to(device), zeros.to(device), group);
}

Ranges full_ranges(const Tensor& weight, int64_t group) {
  const Tensor w = grouped(weight, group);
  return {w.amin(-1).clamp_max(0), w.amax(-1).clamp_min(0)};
}

Int4Weight round_int4(const Tensor& weight, int64_t group, const Ranges& ranges) {
  const at::NoGradGuard no_grad;
  const Grid grid = grid_of(ranges);
  return {packed_nibbles(integers(weight, group, grid).flatten(1)), grid.scales.contiguous(),
          grid.zeros.to(at::kByte).contiguous(), group};
}

Tensor rounded_int4(const Tensor& weight, int64_t group, const Ranges& ranges) {
  const Grid grid = grid_of(ranges);
  return integers(weight, group, grid).sub_(grid.zeros.unsqueeze(-1)).mul_(grid.scales.unsqueeze(-1)).flatten(1);
}

}  // namespace tessera::nn
