// Weights to few bits by their own ranges. What the ranges and the weights should be before that: awq.h,
// smooth_quant.h.
#pragma once

#include "nn/packed_weight.h"

namespace tessera::quant {

/// What the 16 values of each group span, [out, in / group] fp32; low <= 0 <= high, so that zero is among them.
struct Ranges {
  Tensor low, high;
};
/// From the least to the largest weight of each group. weight [out, in].
Ranges full_ranges(const Tensor& weight, int64_t group);

/// Every weight to the nearest of its group's 16 values. Scales are rounded to fp16 first, as files hold them; `in`
/// is a multiple of the even `group`.
nn::Int4Weight round_int4(const Tensor& weight, int64_t group, const Ranges& ranges);
/// unpacked(round_int4(...)), without the packing between.
Tensor rounded_int4(const Tensor& weight, int64_t group, const Ranges& ranges);

/// Every weight [out, in] to the nearest of 255 values per row, up to the row's largest magnitude.
nn::Int8Weight round_int8(const Tensor& weight);

}  // namespace tessera::quant
