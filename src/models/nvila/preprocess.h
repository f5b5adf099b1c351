// From pictures and clips to what the tower takes: which tiles, resized as PIL's bicubic does, normalised. A plan says how many
// rows of embeddings the language model will see, before anything is computed.
#pragma once

#include <vector>

#include "models/capabilities.h"
#include "models/nvila/config.h"
#include "tensor/tensor.h"

namespace tessera::nvila {

/// Tiles in a rectangle.
struct Grid {
  int64_t columns = 1, rows = 1;
  bool operator==(const Grid&) const = default;
  int64_t tiles() const { return columns * rows; }
};

/// The grid of `least` to `most` tiles of edge `edge` whose shape is nearest to that of a width x height picture; of several as
/// near, the one with the most tiles that the picture fills by more than half.
Grid best_grid(int64_t width, int64_t height, int64_t least, int64_t most, int64_t edge);

/// How one picture or clip is cut.
struct MediaPlan {
  int64_t tiles = 1;      // pictures of the tower's size, all scales and the thumbnail together
  Grid grid;              // of the last scale
  bool stitched = false;  // Dynamic-S2: all tiles become one block of rows
  bool listed = false;    // "dynamic": each tile stands in the prompt as a picture with a line of its own
  bool clip = false;
  bool operator==(const MediaPlan&) const = default;
};

/// `alone`: it is the conversation's only picture, so it may be cut into tiles. Throws UserError for a picture without pixels.
MediaPlan plan_of(const NvilaConfig& config, const Media& media, bool alone);
/// Plans of a conversation's media, in order. Throws UserError for a clip whose frames the pooling does not divide.
std::vector<MediaPlan> plans_of(const NvilaConfig& config, const std::vector<Media>& media);

/// Rows of embeddings of each block; a line break's embedding follows every block.
std::vector<int64_t> block_rows(const NvilaConfig& config, const MediaPlan& plan);

/// Tiles [plan.tiles, 3, S, S] fp32 in [-1, 1]: for "dynamic_s2" scale by scale, each row-major; for "dynamic" row-major and
/// the thumbnail last; for clips frame by frame. Pictures with alpha are laid on white
/// (docs/media.md).
Tensor pixels_of(const NvilaConfig& config, const Media& media, const MediaPlan& plan);

/// Pictures of the same size as they are, [N, 3, H, W] fp32 in [-1, 1].
Tensor normalised(const std::vector<Image>& pictures);

}  // namespace tessera::nvila
