// Four-bit weights with activation-aware scales (AWQ, arXiv 2306.00978): channels that carry large activations get a
// finer grid, by multiplying their column and dividing what feeds it; then ranges are narrowed where that lowers the
// error of the output.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/packed/int4_weight.h"
#include "quant/shared_input.h"

namespace tessera::quant {

struct AwqOptions {
  int64_t group = 128;
  int64_t steps = 20;                          // exponents tried, from 0 to 1
  bool scale = true;                           // search for scales; both off: round to nearest
  bool clip = true;                            // search for narrower ranges
  int64_t clip_steps = 10;                     // shares of the full range tried, from 1 down to 0.5
  std::function<void(int64_t done)> on_input;  // sees how many inputs are finished
};

/// What the search found for one input.
struct AwqResult {
  std::string name;
  double exponent = 0;       // scale = mean |x| ^ exponent
  double nearest_error = 0;  // of the outputs on the sample, relative, summed over consumers: rounding to nearest
  double error = 0;          // after scaling and narrowing
};

/// Replaces the weight of every consumer by an Int4Weight. `statistics` in the order of `inputs`, from the model as it
/// is now. Inputs that nothing before them can take the scale of are only narrowed. An input that calibration never
/// saw is rounded to nearest.
std::vector<AwqResult> awq(const std::vector<SharedInput>& inputs, const std::vector<InputStatistics>& statistics,
                           const AwqOptions& options);

/// mean |x| ^ exponent, at least 1e-4, with the geometric middle of its extremes at 1 (equation 5 and its
/// implementation).
Tensor awq_scale(const Tensor& mean_magnitude, double exponent);

/// The ranges, full or narrowed, that give the least squared error of x W^T. weight [out, in], x [n, in].
nn::Ranges narrowed_ranges(const Tensor& weight, const Tensor& x, int64_t group, int64_t steps);

}  // namespace tessera::quant
