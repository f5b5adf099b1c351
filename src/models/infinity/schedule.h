// Scale schedules: the grids a picture passes through, coarse to fine, for every aspect ratio.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec/bsq.h"
#include "models/infinity/config.h"
#include "nn/attention/rope.h"

namespace tessera::infinity {

using codec::ScaleShape;

/// Grids in tokens, and the index units over which rotary positions are spread (the largest grid of the same aspect).
struct Schedule {
  std::vector<ScaleShape> scales;
  ScaleShape span;

  int64_t tokens() const;
  /// Tokens before scale k.
  int64_t begin(size_t k) const;
  /// The grids for nn::rope_2d.
  std::vector<nn::RopeGrid> rope_grids() const;
  /// The codec's grids: the same, or twice as large where a token is a 2x2 patch.
  std::vector<ScaleShape> latent_scales(bool patchify) const;
};

/// Height / width of the published templates, from 0.333 to 3 (reciprocals truncated to three digits).
const std::vector<double>& template_ratios();
/// Names of the published picture areas, each with a number of scales: 0.06M, 0.25M, 0.60M, 1M.
const std::vector<std::string>& template_areas();
/// The template nearest to height / width `ratio`. Throws UserError for an area that is not published.
Schedule published_schedule(double ratio, std::string_view area);
/// Square edges stretched to height / width `ratio` at about the same area, no edge below 1.
Schedule stretched_schedule(const std::vector<int64_t>& edges, double ratio);
/// The schedule a model draws with: its own edges stretched, or the published template for its area.
Schedule schedule_for(const InfinityConfig& config, double ratio = 1);

}  // namespace tessera::infinity
