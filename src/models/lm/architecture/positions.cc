// Positions and what each may see. A position always sees itself, padding too, so that no softmax is over nothing.
#include <cmath>
#include <limits>
#include <numbers>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cummax.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "models/lm/architecture/module.h"
#include "nn/attention/rope.h"

namespace tessera::lm {

namespace {

/// Rotary frequencies [head_dim / 2]; with scaling, long waves are stretched, short ones kept, those between blended
/// (Llama 3.1, arXiv 2407.21783).
Tensor frequencies(const LmConfig& c, at::Device device) {
  const Tensor plain = nn::rope_frequencies(c.head_dim, c.rope_theta);
  if (!c.rope_scaling) return plain.to(device);
  const RopeScaling& r = *c.rope_scaling;
  const auto original = static_cast<double>(r.original_length);
  const Tensor waves = 2 * std::numbers::pi / plain;  // lengths, in positions
  const Tensor share = (original / waves - r.low_frequency_factor) / (r.high_frequency_factor - r.low_frequency_factor);
  const Tensor blended = (1 - share) * plain / r.factor + share * plain;
  const Tensor stretched = at::where(waves > original / r.low_frequency_factor, plain / r.factor, blended);
  return at::where(waves < original / r.high_frequency_factor, plain, stretched).to(device);
}

/// 0 where `visible` is true, else -inf.
Tensor additive(const Tensor& visible) {
  return at::zeros(visible.sizes(), visible.options().dtype(at::kFloat))
      .masked_fill_(visible.logical_not(), -std::numeric_limits<double>::infinity())
      .unsqueeze(1);
}

Tensor within(const Tensor& queries, const Tensor& keys, int64_t window) { return queries - keys < window; }

}  // namespace

Positions positions_of(const LmConfig& config, int64_t cached, int64_t length, const Tensor& pad, at::Device device) {
  const int64_t total = cached + length;
  const Tensor index = at::arange(cached, total, at::TensorOptions(at::kLong).device(device)).unsqueeze(0);  // [1, L]
  const Tensor begins = present(pad) ? pad.to(device).unsqueeze(1) : Tensor();                               // [B, 1]
  const Tensor indexes = present(begins) ? (index - begins).clamp_min(0) : index;
  Positions positions;
  const nn::Rope1d rope = nn::rope_1d(indexes, frequencies(config, device));
  positions.cos = rope.cos, positions.sin = rope.sin;

  const bool windowed = config.window && *config.window < total;
  const bool plain = !present(begins) && (cached == 0 || length == 1);
  if (plain && !windowed) return positions;
  const Tensor queries = index.unsqueeze(2);                                                               // [1, L, 1]
  const Tensor keys = at::arange(total, at::TensorOptions(at::kLong).device(device)).view({1, 1, total});  // [1, 1, S]
  Tensor visible = keys <= queries;                                                                        // [1, L, S]
  if (present(begins)) visible = visible & ((keys >= begins.unsqueeze(2)) | (keys == queries));            // [B, L, S]
  if (!plain) positions.mask = additive(visible);
  if (windowed) positions.window_mask = additive(visible & within(queries, keys, *config.window));
  return positions;
}

Positions packed_positions(const LmConfig& config, const Tensor& segments) {
  const int64_t length = segments.size(1);
  const Tensor index = at::arange(length, segments.options()).unsqueeze(0);  // [1, L]
  const Tensor first = at::ones({segments.size(0), 1}, segments.options().dtype(at::kBool));
  const Tensor begins = at::cat({first, segments.slice(1, 1) != segments.slice(1, 0, length - 1)}, 1);  // [B, L]
  const Tensor since = std::get<0>(at::where(begins, index, 0).cummax(1));  // where the own segment began
  Positions positions;
  const nn::Rope1d rope = nn::rope_1d(index - since, frequencies(config, segments.device()));
  positions.cos = rope.cos, positions.sin = rope.sin;

  const Tensor queries = index.unsqueeze(2), keys = index.unsqueeze(1);
  const Tensor visible = (keys <= queries) & (keys >= since.unsqueeze(2));  // [B, L, S]
  positions.mask = additive(visible);
  if (config.window && *config.window < length)
    positions.window_mask = additive(visible & within(queries, keys, *config.window));
  return positions;
}

}  // namespace tessera::lm
