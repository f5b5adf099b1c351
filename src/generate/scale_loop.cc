// The sum grows by the same line that the codec encodes with, so drawn and encoded pictures share one arithmetic.
#include "generate/scale_loop.h"

#include <cmath>

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "core/rng.h"

namespace tessera::generate {

ScaleLoopResult run(const ScaleLoop& loop, const ScaleStep& step) {
  const codec::ScaleShape full = loop.scales.back();
  ScaleLoopResult result{
      .sum = at::zeros({loop.batch, loop.bits, full.height, full.width}, at::TensorOptions(loop.device))};
  for (size_t k = 0; k < loop.scales.size(); ++k) {
    const Tensor drawn = step(k, result.sum);
    result.bits.push_back(k < loop.given.size() ? loop.given[k] : drawn);
    result.sum = result.sum + codec::grow(codec::bits_to_codes(result.bits.back()), full);
    if (loop.on_scale) loop.on_scale(k, result.sum);
  }
  return result;
}

namespace {

/// Probability that a bit is one, given its two logits' difference.
double probability_of_one(double difference, const BitSampling& options) {
  if (options.tau <= 0) return difference > 0 ? 1 : 0;
  const double p = 1 / (1 + std::exp(-difference / options.tau));
  const double dropped = 1 - options.top_p;
  if (p <= dropped && p < 0.5) return 0;
  if (1 - p <= dropped && p > 0.5) return 1;
  return p;
}

}  // namespace

Tensor guided(const Tensor& conditional, const Tensor& unconditional, double cfg) {
  return cfg * conditional + (1 - cfg) * unconditional;
}

Tensor sample_bits(const Tensor& logits, const BitSampling& options) {
  const Tensor difference =
      (logits.select(-1, 1) - logits.select(-1, 0)).to(at::kFloat).cpu().contiguous();  // [B, L, d]
  Tensor bits = at::empty(difference.sizes(), at::kBool);
  const float* from = difference.const_data_ptr<float>();
  bool* to = bits.mutable_data_ptr<bool>();
  const int64_t per_picture = difference.size(1) * difference.size(2);
  for (int64_t b = 0; b < difference.size(0); ++b) {
    Rng rng = Rng(options.seed).split(options.first_picture + static_cast<uint64_t>(b)).split(options.scale);
    for (int64_t i = 0; i < per_picture; ++i) *to++ = rng.uniform() < probability_of_one(*from++, options);
  }
  return bits.to(logits.device());
}

}  // namespace tessera::generate
