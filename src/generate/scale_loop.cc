// The sum grows by the same line that the codec encodes with, so drawn and encoded pictures share one arithmetic.
#include "generate/scale_loop.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
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

/// A bit by two draws of Exp(1), every step in fp32 in the order of the published sampler: softmax, top-p, arg-max(p / e).
bool bit_by_exponentials(const float* logits, const float* exponentials, const BitSampling& options) {
  const auto tau = static_cast<float>(options.tau), dropped = static_cast<float>(1 - options.top_p);
  const float zero = logits[0] / tau, one = logits[1] / tau, most = std::max(zero, one);
  const float e0 = std::exp(zero - most), e1 = std::exp(one - most);
  const float p0 = e0 / (e0 + e1), p1 = e1 / (e0 + e1);
  if (p0 <= dropped && p0 < p1) return true;
  if (p1 <= dropped && p1 < p0) return false;
  return p1 / exponentials[1] > p0 / exponentials[0];
}

Tensor sample_by_exponentials(const Tensor& logits, const BitSampling& options) {
  const Tensor pairs = logits.to(at::kFloat).cpu().contiguous();  // [B, L, d, 2]
  const Tensor draws = options.exponentials.to(at::kFloat).cpu().view_as(pairs).contiguous();
  Tensor bits = at::empty(pairs.sizes().slice(0, pairs.dim() - 1), at::kBool);
  const float* from = pairs.const_data_ptr<float>();
  const float* drawn = draws.const_data_ptr<float>();
  bool* to = bits.mutable_data_ptr<bool>();
  for (int64_t i = 0; i < bits.numel(); ++i, from += 2, drawn += 2) to[i] = bit_by_exponentials(from, drawn, options);
  return bits.to(logits.device());
}

}  // namespace

Tensor guided(const Tensor& conditional, const Tensor& unconditional, double cfg) {
  return cfg * conditional + (1 - cfg) * unconditional;
}

Tensor sample_bits(const Tensor& logits, const BitSampling& options) {
  if (present(options.exponentials) && options.tau > 0) return sample_by_exponentials(logits, options);
  const Tensor difference =
      (logits.select(-1, 1) - logits.select(-1, 0)).to(at::kFloat).cpu().contiguous();  // [B, L, d]
  Tensor bits = at::empty(difference.sizes(), at::kBool);
  if (!std::isfinite(difference.sum().item<float>()))
    throw FaultError(
        "[generate] a bit's logits are no numbers; the weights, or what the model was given, hold NaN or infinities");
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
