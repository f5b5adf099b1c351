// Four-bit integers in groups: how they lie in memory, what multiplying by them means, and rounding to them. Which ranges
// are good is quant/'s matter.
#pragma once

#include "nn/packed/packed_weight.h"

namespace tessera::nn {

/// Asymmetric 4-bit integers in groups along `in`: W[o, i] = (q[o, i] - zero[o, g]) * scale[o, g], g = i / group.
class Int4Weight final : public PackedWeight {
 public:
  Tensor packed;  // [out, in / 2] uint8: input 2j in the low half of byte j, 2j + 1 in the high half
  Tensor scales;  // [out, in / group] fp32
  Tensor zeros;   // [out, in / group] uint8, 0..15
  int64_t group;

  Int4Weight(Tensor packed, Tensor scales, Tensor zeros, int64_t group)
      : packed(std::move(packed)), scales(std::move(scales)), zeros(std::move(zeros)), group(group) {}

  std::string_view format() const override { return "int4"; }
  int64_t out() const override { return packed.size(0); }
  int64_t in() const override { return packed.size(1) * 2; }
  /// On the CPU few rows go through the kernel of nn/kernels/int4_kernel.h; many are multiplied in bfloat16 where the
  /// processor multiplies matrices of it (the weights are off by far more than its rounding), otherwise in fp32.
  Tensor product(const Tensor& x) const override;
  std::shared_ptr<const RowProduct> row_product() const override;
  Tensor rows(int64_t first, int64_t count) const override;
  std::vector<NamedTensor> parts() const override {
    return {{"integers", packed}, {"scales", scales}, {"zeros", zeros}};
  }
  /// AutoAWQ's gemm layout (awq_layout.h); `out` must be a multiple of 8.
  std::vector<NamedTensor> stored() const override;
  std::shared_ptr<const PackedWeight> to(at::Device device) const override;
};

/// Two whole numbers 0 to 15 a byte, as Int4Weight::packed holds them: integers [out, in], in even -> [out, in / 2] uint8.
Tensor packed_nibbles(const Tensor& integers);
/// The way back, uint8.
Tensor unpacked_nibbles(const Tensor& packed);

/// What the 16 values of each group span, [out, in / group] fp32; low <= 0 <= high, so that zero is among them.
struct Ranges {
  Tensor low, high;
};
/// From the least to the largest weight of each group. weight [out, in], in a multiple of `group`.
Ranges full_ranges(const Tensor& weight, int64_t group);

/// Every weight to the nearest of its group's 16 values. Scales are rounded to fp16 first, as files hold them; `in`
/// is a multiple of the even `group`.
Int4Weight round_int4(const Tensor& weight, int64_t group, const Ranges& ranges);
/// round_int4(...).unpack(), without the packing between.
Tensor rounded_int4(const Tensor& weight, int64_t group, const Ranges& ranges);

}  // namespace tessera::nn
