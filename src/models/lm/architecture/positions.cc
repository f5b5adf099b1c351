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
Tensor frequencies(const LmConfig& c) {
  const Tensor plain = nn::rope_frequencies(c.head_dim, c.rope_theta);
  if (!c.rope_scaling) return plain;
  const RopeScaling& r = *c.rope_scaling;
  const auto original = static_cast<double>(r.original_length);
  const Tensor waves = 2 * std::numbers::pi / plain;  // lengths, in positions
  const Tensor share = (original / waves - r.low_frequency_factor) / (r.high_frequency_factor - r.low_frequency_factor);
  const Tensor blended = (1 - share) * plain / r.factor + share * plain;
  const Tensor stretched = at::where(waves > original / r.low_frequency_factor, plain / r.factor, blended);
  return at::where(waves < original / r.high_frequency_factor, plain, stretched);
}

/// 0 where `visible` is true, else -inf.
Tensor additive(const Tensor& visible) {
  return at::zeros(visible.sizes(), visible.options().dtype(at::kFloat))
      .masked_fill_(visible.logical_not(), -std::numeric_limits<double>::infinity())
      .unsqueeze(1);
}

Tensor within(const Tensor& queries, const Tensor& keys, int64_t window) { return queries - keys < window; }

}  // namespace

std::shared_ptr<const nn::RotaryTable> rotary_table(const LmConfig& config) {
  return std::make_shared<const nn::RotaryTable>(frequencies(config));
}

Positions positions_of(const DecoderLm& model, int64_t length, const Tensor& pad, at::Device device) {
  const LmConfig& config = model.config;
  const Tensor index = at::arange(length, at::TensorOptions(at::kLong).device(device)).unsqueeze(0);  // [1, L]
  const Tensor begins = present(pad) ? pad.to(device).unsqueeze(1) : Tensor();                        // [B, 1]
  const nn::Rope1d rope = present(begins) ? model.rotary->at((index - begins).clamp_min(0), length)
                                          : model.rotary->range(0, length, device);
  Positions positions;
  positions.cos = rope.cos, positions.sin = rope.sin;

  const bool windowed = config.window && *config.window < length;
  if (!present(begins) && !windowed) return positions;
  const Tensor queries = index.unsqueeze(2), keys = index.unsqueeze(1);                          // [1, L, 1], [1, 1, L]
  Tensor visible = keys <= queries;                                                              // [1, L, L]
  if (present(begins)) visible = visible & ((keys >= begins.unsqueeze(2)) | (keys == queries));  // [B, L, L]
  if (present(begins)) positions.mask = additive(visible);
  if (windowed) positions.window_mask = additive(visible & within(queries, keys, *config.window));
  return positions;
}

Positions packed_positions(const DecoderLm& model, const Tensor& segments) {
  const int64_t length = segments.size(1);
  const Tensor index = at::arange(length, segments.options()).unsqueeze(0);  // [1, L]
  const Tensor first = at::ones({segments.size(0), 1}, segments.options().dtype(at::kBool));
  const Tensor begins = at::cat({first, segments.slice(1, 1) != segments.slice(1, 0, length - 1)}, 1);  // [B, L]
  const Tensor since = std::get<0>(at::where(begins, index, 0).cummax(1));  // where the own segment began
  Positions positions;
  const nn::Rope1d rope = model.rotary->at(index - since, length);
  positions.cos = rope.cos, positions.sin = rope.sin;

  const Tensor queries = index.unsqueeze(2), keys = index.unsqueeze(1);
  const Tensor visible = (keys <= queries) & (keys >= since.unsqueeze(2));  // [B, L, L]
  positions.mask = additive(visible);
  const std::optional<int64_t> window = model.config.window;
  if (window && *window < length) positions.window_mask = additive(visible & within(queries, keys, *window));
  return positions;
}

Positions cached_positions(const DecoderLm& model, const Tensor& indexes, int64_t end) {
  const nn::Rope1d rope = model.rotary->at(indexes.unsqueeze(0), end);
  Positions positions;
  positions.cos = rope.cos, positions.sin = rope.sin;
  return positions;
}

}  // namespace tessera::lm
