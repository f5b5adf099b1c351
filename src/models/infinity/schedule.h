// Scale schedules: the grids a picture passes through, coarse to fine, for every aspect ratio; and the tokens that they are
// read as.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec/bsq.h"
#include "models/infinity/config.h"
#include "nn/attention/rope.h"
#include "tensor/tensor.h"

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
/// The template nearest to height / width `ratio`, by absolute difference as the published code has it. Throws UserError for an area that is not published.
Schedule published_schedule(double ratio, std::string_view area);
/// Square edges stretched to height / width `ratio` at about the same area, no edge below 1.
Schedule stretched_schedule(const std::vector<int64_t>& edges, double ratio);
/// The schedule a model draws with: its own edges stretched, or the published template for an area, "" for its own. Throws UserError for an
/// area of a model with edges of its own.
Schedule schedule_for(const InfinityConfig& config, double ratio = 1, std::string_view area = "");
/// The schedule that ends at pictures of that size. Throws UserError, naming those there are, where there is none.
Schedule schedule_of_size(const InfinityConfig& config, int64_t height, int64_t width, int64_t pixels_per_token);

// Between latent grids and token sequences. Tokens run row by row, scale after scale.

/// A scale's grid [B, d, H, W] -> tokens [B, h * w, bits per token]; with patchify a token is a 2x2 patch (pixel-unshuffle).
Tensor to_tokens(const Tensor& grid, bool patchify);
/// The way back: tokens [B, h * w, bits per token] -> [B, d, H, W]. `scale` is the grid in tokens.
Tensor to_grid(const Tensor& tokens, ScaleShape scale, bool patchify);

/// The transformer's input made of `sum` [B, d, H, W], the codes up to and with the scale before `scale` (in tokens).
Tensor features_of(const Tensor& sum, ScaleShape scale, bool patchify);

/// Teacher forcing: from the sums after each scale, the features of all scales but the first, [B, L - 1, bits per token].
Tensor forced_features(const std::vector<Tensor>& sums, const Schedule& schedule, bool patchify);
/// The bits of all scales as tokens [B, L, bits per token].
Tensor all_tokens(const std::vector<Tensor>& bits, bool patchify);

/// Codeword numbers of bits [..., bits per token]: bit i counts 2^i. int64.
Tensor codewords(const Tensor& bits);

}  // namespace tessera::infinity
