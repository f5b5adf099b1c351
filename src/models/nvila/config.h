// The shape of an NVILA model (arXiv 2412.04468): SigLIP tower, projector, how pictures and clips are cut, language model.
// What sets releases apart (Lite, base, video) is data here.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/files.h"
#include "models/lm/architecture/config.h"

namespace tessera::nvila {

/// SigLIP (arXiv 2303.15343) without its pooling head.
struct VisionConfig {
  int64_t image_size = 448;  // edge of a tile in pixels
  int64_t patch = 14;        // edge of a patch; pixels beyond the last whole patch are not seen
  int64_t width = 1152;
  int64_t depth = 27;  // blocks in the checkpoint
  int64_t heads = 16;
  int64_t hidden = 4304;  // feed-forward width
  double norm_eps = 1e-6;
  int64_t select_layer =
      -2;  // the hidden state that is the feature: -1 is what the last block gives, -2 the one before
  bool operator==(const VisionConfig&) const = default;

  /// Patches along an edge.
  int64_t grid() const { return image_size / patch; }
  /// Blocks that the feature goes through; later ones are never run.
  int64_t used_blocks() const { return depth + 1 + select_layer; }
};
template <class V> void fields(V& v, VisionConfig& c) {
  v("image_size", c.image_size, "edge of a tile in pixels");
  v("patch", c.patch, "edge of a patch");
  v("width", c.width, "tower width");
  v("depth", c.depth, "blocks");
  v("heads", c.heads, "attention heads");
  v("hidden", c.hidden, "feed-forward width");
  v("norm_eps", c.norm_eps, "epsilon of the norms");
  v("select_layer", c.select_layer, "hidden state that is the feature, counted from the end");
}

/// How one picture becomes tiles of the tower's size.
struct TileConfig {
  std::string mode = "single";                  // "single", "dynamic" (NVILA-Lite) or "dynamic_s2" (NVILA)
  int64_t min_tiles = 1;                        // "dynamic": fewest tiles of the grid
  int64_t max_tiles = 12;                       // most tiles of the grid
  std::vector<int64_t> scales{448, 896, 1344};  // "dynamic_s2": edges of the scales, multiples of the first, rising
  bool operator==(const TileConfig&) const = default;

  bool stitches() const { return mode == "dynamic_s2"; }
  /// "dynamic_s2": fewest tiles of the last scale's grid, those of its square.
  int64_t last_scale_tiles() const { return (scales.back() / scales.front()) * (scales.back() / scales.front()); }
};
template <class V> void fields(V& v, TileConfig& c) {
  v("mode", c.mode, "single, dynamic or dynamic_s2");
  v("min_tiles", c.min_tiles, "dynamic: fewest tiles");
  v("max_tiles", c.max_tiles, "most tiles of a grid");
  v("scales", c.scales, "dynamic_s2: edges of the scales");
}

struct VideoConfig {
  int64_t frames = 8;                  // of a clip, spread evenly
  std::vector<int64_t> pool{1, 1, 1};  // frames, rows and columns of features that are averaged
  bool operator==(const VideoConfig&) const = default;
};
template <class V> void fields(V& v, VideoConfig& c) {
  v("frames", c.frames, "frames of a clip");
  v("pool", c.pool, "frames, rows and columns that are averaged");
}

struct NvilaConfig {
  VisionConfig vision;
  std::string projector = "mlp_downsample_2x2_fix";  // mm_projector_type; see projector.h
  TileConfig tiles;
  VideoConfig video;
  lm::LmConfig text;
  bool operator==(const NvilaConfig&) const = default;

  /// Width of what the projector takes: Dynamic-S2 joins its scales along channels.
  int64_t feature_width() const {
    return vision.width * (tiles.stitches() ? static_cast<int64_t>(tiles.scales.size()) : 1);
  }
};

/// Tokens for media in a prompt's text; their ids differ between releases.
inline constexpr std::array<const char*, 3> media_tokens{"<image>", "<vila/video>", "<vila/sentinel>"};

/// Throws UserError when no model of this shape can be built. The language model's part is checked by its own room.
void validate(const NvilaConfig& config);

}  // namespace tessera::nvila
