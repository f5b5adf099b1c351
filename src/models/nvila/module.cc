// Where pictures become embeddings.
#include "models/nvila/module.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/cat.h>

#include "tensor/build.h"

namespace tessera::nvila {

namespace {

constexpr int64_t tiles_at_once = 16;  // outside of training: bounds the memory of long clips

int64_t edge_of(int64_t square) { return static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(square)))); }

/// Tiles [rows * columns, g * g, C] side by side -> [1, C, rows * g, columns * g].
Tensor stitched(const Tensor& tiles, const Grid& grid) {
  const int64_t g = edge_of(tiles.size(1)), channels = tiles.size(2);
  return tiles.reshape({grid.rows, grid.columns, g, g, channels})
      .permute({4, 0, 2, 1, 3})
      .reshape({1, channels, grid.rows * g, grid.columns * g});
}

/// The way back: [1, C, rows * g, columns * g] -> [rows * columns, g * g, C].
Tensor cut(const Tensor& whole, const Grid& grid) {
  const int64_t channels = whole.size(1), g = whole.size(2) / grid.rows;
  return whole.reshape({channels, grid.rows, g, grid.columns, g})
      .permute({1, 3, 2, 4, 0})
      .reshape({grid.tiles(), g * g, channels});
}

/// Projected tiles [rows * columns, t * t, C] in reading order of the whole picture -> [rows * t * columns * t, C].
Tensor reading_order(const Tensor& tiles, const Grid& grid) {
  const int64_t t = edge_of(tiles.size(1)), channels = tiles.size(2);
  return tiles.reshape({grid.rows, grid.columns, t, t, channels}).permute({0, 2, 1, 3, 4}).reshape({-1, channels});
}

/// Means over groups of frames, rows and columns: frames [F, t * t, C] -> rows [R, C].
Tensor pooled(const Tensor& frames, const std::vector<int64_t>& pool) {
  const int64_t t = edge_of(frames.size(1)), channels = frames.size(2);
  if (pool == std::vector<int64_t>{1, 1, 1}) return frames.reshape({-1, channels});
  return frames.reshape({frames.size(0) / pool[0], pool[0], t / pool[1], pool[1], t / pool[2], pool[2], channels})
      .mean({1, 3, 5})
      .reshape({-1, channels});
}

/// Parts of one checkpoint may be stored in different formats.
Tensor project(const Projector& projector, const Tensor& features) {
  return projector.forward(features.to(projector.format()));
}

/// Features of tiles seen alone: under Dynamic-S2 the one scale stands for all.
Tensor one_scale(const NvilaModel& model, const Tensor& features) {
  return project(model.mm_projector, features.repeat({1, 1, model.config.feature_width() / model.config.vision.width}));
}

/// `step` over the tiles, a few at a time when no gradients are kept.
template <class F> Tensor in_parts(const Tensor& pixels, F step) {
  if (at::GradMode::is_enabled() || pixels.size(0) <= tiles_at_once) return step(pixels);
  std::vector<Tensor> parts;
  for (const Tensor& part : pixels.split(tiles_at_once)) parts.push_back(step(part));
  return at::cat(parts);
}

}  // namespace

NvilaModel::NvilaModel(const NvilaConfig& config)
    : config((validate(config), config)), llm(config.text), vision_tower(config.vision),
      mm_projector(config.projector, config.feature_width(), config.text.width) {}

Tensor NvilaModel::features(const Tensor& pixels, bool recompute) const {
  return in_parts(pixels, [&](const Tensor& part) { return one_scale(*this, vision_tower.forward(part, recompute)); });
}

Tensor NvilaModel::media_rows(const Tensor& pixels, const std::vector<MediaPlan>& plans, bool recompute) const {
  const bool plain = std::none_of(plans.begin(), plans.end(), [](const MediaPlan& plan) { return plan.stitched; });
  const Tensor together =
      plain ? features(pixels, recompute)
            : in_parts(pixels, [&](const Tensor& part) { return vision_tower.forward(part, recompute); });
  std::vector<Tensor> rows;
  int64_t first = 0;
  for (const MediaPlan& plan : plans) {
    const Tensor own = together.slice(0, first, first + plan.tiles);
    first += plan.tiles;
    if (plan.stitched) {
      rows.push_back(reading_order(project(mm_projector, joined_scales(own, config.tiles, plan.grid)), plan.grid));
      continue;
    }
    const Tensor tiles = plain ? own : one_scale(*this, own);
    rows.push_back(plan.clip ? pooled(tiles, config.video.pool) : tiles.reshape({-1, tiles.size(2)}));
  }
  return at::cat(rows);
}

Tensor NvilaModel::embed(const Assembled& batch, bool recompute) const {
  const Tensor words = llm.embed(batch.ids);
  if (batch.media.empty()) return words;
  const Tensor rows = media_rows(batch.pixels, batch.media, recompute).to(words.scalar_type());
  return words.flatten(0, 1).index_copy(0, batch.positions, rows).reshape(words.sizes());
}

Tensor NvilaModel::logits(const Assembled& batch) const {
  const Tensor x = embed(batch);
  return llm.logits(llm.forward(x, lm::positions_of(llm, x.size(1), batch.pad, x.device())));
}

Tensor joined_scales(const Tensor& features, const TileConfig& tiles, const Grid& grid) {
  const int64_t g = edge_of(features.size(1));
  std::vector<Tensor> scales;
  int64_t first = 0;
  for (size_t i = 0; i < tiles.scales.size(); ++i) {
    const int64_t edge = tiles.scales[i] / tiles.scales.front();
    const Grid own = i + 1 == tiles.scales.size() ? grid : Grid{edge, edge};
    const Tensor whole = stitched(features.slice(0, first, first + own.tiles()), own).to(at::kFloat);
    scales.push_back(at::adaptive_avg_pool2d(whole, {grid.rows * g, grid.columns * g}).to(features.scalar_type()));
    first += own.tiles();
  }
  return cut(at::cat(scales, 1), grid);
}

namespace {

/// Matrices by fan in; `residual(name)`: less, for what ends in the residual stream.
template <class M, class F> void fill(M& module, uint64_t seed, F factor) {
  const Rng rng(seed);
  for_each_tensor(module, [&](const std::string& name, Tensor& t) {
    if (t.dim() < 2) return;  // biases and norms stand at 0 and 1 already
    const double fan_in = static_cast<double>(t.numel() / t.size(0));
    fill_truncated_normal(t, factor(name) / std::sqrt(fan_in), rng.split(hash_text(name)));
  });
}

}  // namespace

void initialise(VisionTower& tower, uint64_t seed) {
  const double into_residual = 1 / std::sqrt(2.0 * static_cast<double>(std::max<size_t>(tower.layers.size(), 1)));
  fill(tower, seed, [&](const std::string& name) {
    const bool residual = name.find("out_proj") != std::string::npos || name.find("fc2") != std::string::npos;
    return residual ? into_residual : 1.0;
  });
}

void initialise(Projector& projector, uint64_t seed) {
  fill(projector, seed, [](const std::string&) { return 1.0; });
}

void initialise(NvilaModel& model, uint64_t seed) {
  const Rng rng(seed);
  lm::initialise(model.llm, rng.split(1).next());
  initialise(model.vision_tower, rng.split(2).next());
  initialise(model.mm_projector, rng.split(3).next());
}

}  // namespace tessera::nvila
