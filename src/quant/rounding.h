// Weights to few bits by their own ranges. What the ranges and the weights should be before that: awq.h,
// smooth_quant.h.
#pragma once

#include <vector>

#include "nn/packed/packed_weight.h"
#include "quant/shared_input.h"

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

/// largest |x| ^ exponent / largest |w| ^ (1 - exponent) per channel (equation 4). magnitudes and columns [in].
Tensor smoothing_scale(const Tensor& largest_input, const Tensor& largest_weight, double exponent);

/// Folds the scales where something before an input can take them, and replaces every consumer's weight by an
/// Int8Weight. NVILA's exponent is 0.3. `statistics` in the order of `inputs`; an input that was never seen is not
/// smoothed.
void smooth_quant(const std::vector<SharedInput>& inputs, const std::vector<InputStatistics>& statistics,
                  double exponent = 0.3);

}  // namespace tessera::quant
