// Rotary frequencies of a config, as transformers computes them, in fp32. They depend on the config alone, never on the length of
// a sequence: keys of any length lie in one cache, and rows share them.
#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include "models/lm/architecture/families.h"
#include "models/lm/architecture/module.h"
#include "nn/attention/rope.h"

namespace tessera::lm {

namespace {

/// Long waves are stretched, short ones kept, those between blended (Llama 3.1, arXiv 2407.21783).
Tensor llama3_frequencies(const Tensor& plain, const RopeScaling& r) {
  const auto original = static_cast<double>(r.original_length);
  const Tensor waves = 2 * std::numbers::pi / plain;  // lengths, in positions
  const Tensor share = (original / waves - r.low_frequency_factor) / (r.high_frequency_factor - r.low_frequency_factor);
  const Tensor blended = (1 - share) * plain / r.factor + share * plain;
  const Tensor stretched = at::where(waves > original / r.low_frequency_factor, plain / r.factor, blended);
  return at::where(waves < original / r.high_frequency_factor, plain, stretched);
}

/// A ramp over the frequencies' indexes leads from kept to stretched (YaRN, arXiv 2309.00071, section 3.2).
Tensor yarn_frequencies(const Tensor& plain, const RopeScaling& r, const LmConfig& c) {
  const auto dim = static_cast<double>(c.turned());
  const auto index_of = [&](double turns) {  // of the frequency that turns so often within the original context
    return dim * std::log(static_cast<double>(r.original_length) / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(c.rope_theta));
  };
  double low = index_of(r.beta_fast), high = index_of(r.beta_slow);
  if (r.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  if (low == high) high += 0.001;
  const Tensor ramp = ((at::arange(c.turned() / 2, at::kFloat) - low) / (high - low)).clamp(0, 1);
  return plain / r.factor * ramp + plain * (1 - ramp);
}

/// Divisors found by search, of which there are two lists (LongRoPE, arXiv 2402.13753). The long ones serve models that admit more than
/// the original context.
Tensor longrope_frequencies(const Tensor& plain, const RopeScaling& r, const LmConfig& c) {
  const std::vector<double>& divisors = c.context > r.original_length ? r.long_factors : r.short_factors;
  return plain / at::tensor(divisors, at::kFloat);
}

/// What cosines and sines are multiplied by.
double attention_factor(const RopeScaling& r) {
  if (r.type != "yarn" && r.type != "longrope") return 1;
  if (r.attention_factor) return *r.attention_factor;
  if (r.factor <= 1) return 1;
  if (r.type == "longrope") return longrope_attention_factor(r.factor, r.original_length);
  const auto scale = [&](double m) { return 0.1 * m * std::log(r.factor) + 1; };
  return r.mscale && r.mscale_all_dim ? scale(*r.mscale) / scale(*r.mscale_all_dim) : scale(1);
}

}  // namespace

Tensor llama3_divisors(const RopeScaling& scaling, double theta, int64_t dim) {
  const Tensor plain = nn::rope_frequencies(dim, theta);
  return plain / llama3_frequencies(plain, scaling);
}

std::shared_ptr<const nn::RotaryTable> rotary_table(const LmConfig& c) {
  const Tensor plain = nn::rope_frequencies(c.turned(), c.rope_theta);
  if (!c.rope_scaling) return std::make_shared<const nn::RotaryTable>(plain);
  const RopeScaling& r = *c.rope_scaling;
  Tensor changed = plain;  // "dynamic" changes nothing within the context, which is all that a model admits
  if (r.type == "linear") changed = plain / r.factor;
  if (r.type == "llama3") changed = llama3_frequencies(plain, r);
  if (r.type == "yarn") changed = yarn_frequencies(plain, r, c);
  if (r.type == "longrope") changed = longrope_frequencies(plain, r, c);
  return std::make_shared<const nn::RotaryTable>(changed, attention_factor(r));
}

std::shared_ptr<const nn::RotaryTable> window_rotary_table(const LmConfig& c) {
  if (!c.window_rope_theta) return nullptr;
  return std::make_shared<const nn::RotaryTable>(nn::rope_frequencies(c.turned(), *c.window_rope_theta));
}

}  // namespace tessera::lm
