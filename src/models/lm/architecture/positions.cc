// Positions and what each may see. A position always sees itself, padding too, so that no softmax is over nothing.
#include <limits>

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

/// 0 where `visible` is true, else -inf.
Tensor additive(const Tensor& visible) {
  return at::zeros(visible.sizes(), visible.options().dtype(at::kFloat))
      .masked_fill_(visible.logical_not(), -std::numeric_limits<double>::infinity())
      .unsqueeze(1);
}

Tensor within(const Tensor& queries, const Tensor& keys, int64_t window) { return queries - keys < window; }

/// Gives a pass the angles that `of` takes from each of the model's tables.
template <class F> void set_angles(Positions& positions, const DecoderLm& model, const F& of) {
  positions.rope = of(*model.rotary);
  if (model.window_rotary) positions.window_rope = of(*model.window_rotary);
}

}  // namespace

Positions positions_of(const DecoderLm& model, int64_t length, const Tensor& pad, at::Device device) {
  const LmConfig& config = model.config;
  const Tensor index = at::arange(length, at::TensorOptions(at::kLong).device(device)).unsqueeze(0);  // [1, L]
  const Tensor begins = present(pad) ? pad.to(device).unsqueeze(1) : Tensor();                        // [B, 1]
  Positions positions;
  set_angles(positions, model, [&](const nn::RotaryTable& table) {
    return present(begins) ? table.at((index - begins).clamp_min(0), length) : table.range(0, length, device);
  });

  if (present(begins)) positions.since = at::where(index < begins, index, begins);

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
  Positions positions{.since = since};
  set_angles(positions, model, [&](const nn::RotaryTable& table) { return table.at(index - since, length); });

  const Tensor queries = index.unsqueeze(2), keys = index.unsqueeze(1);
  const Tensor visible = (keys <= queries) & (keys >= since.unsqueeze(2));  // [B, L, L]
  positions.mask = additive(visible);
  const std::optional<int64_t> window = model.config.window;
  if (window && *window < length) positions.window_mask = additive(visible & within(queries, keys, *window));
  return positions;
}

Positions cached_positions(const DecoderLm& model, const Tensor& indexes, int64_t end) {
  Positions positions;
  set_angles(positions, model, [&](const nn::RotaryTable& table) { return table.at(indexes.unsqueeze(0), end); });
  return positions;
}

}  // namespace tessera::lm
