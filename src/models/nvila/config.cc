// Checks of a config: each error has the wrong number and what would be right.
#include "models/nvila/config.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "core/error.h"
#include "models/nvila/projector.h"

namespace tessera::nvila {

namespace {

void validate(const VisionConfig& c) {
  const int64_t least = std::min({c.image_size, c.patch, c.width, c.depth, c.heads, c.hidden});
  const int64_t most = std::max({c.image_size, c.patch, c.width, c.depth, c.heads, c.hidden});
  if (least < 1 || most > 1'000'000) {
    throw UserError(
        "[nvila] vision: image size {}, patch {}, width {}, depth {}, heads {}, hidden {}; want 1 to 1000000 each",
        c.image_size, c.patch, c.width, c.depth, c.heads, c.hidden);
  }
  if (c.patch > c.image_size)
    throw UserError("[nvila] vision: patch {} is larger than the tile, {}", c.patch, c.image_size);
  if (c.width % c.heads != 0)
    throw UserError("[nvila] vision: width {} over {} heads; want a whole number each", c.width, c.heads);
  if (c.select_layer > -1 || c.used_blocks() < 1) {
    throw UserError("[nvila] vision: select_layer is {}, want -1 (the last of {} blocks) to {}", c.select_layer,
                    c.depth, -c.depth);
  }
}

void validate(const TileConfig& c, int64_t edge) {
  if (c.mode != "single" && c.mode != "dynamic" && c.mode != "dynamic_s2")
    throw UserError("[nvila] scale mode is '{}', want 'single', 'dynamic' or 'dynamic_s2'", c.mode);
  if (c.min_tiles < 1 || c.max_tiles < c.min_tiles || c.max_tiles > 256)
    throw UserError("[nvila] {} to {} tiles; want 1 <= min_tiles <= max_tiles <= 256", c.min_tiles, c.max_tiles);
  if (!c.stitches()) return;
  bool rising = !c.scales.empty() && c.scales.front() == edge && std::is_sorted(c.scales.begin(), c.scales.end());
  for (const int64_t scale : c.scales) rising = rising && scale % edge == 0 && scale / edge <= 16;
  if (!rising) {
    throw UserError("[nvila] scales are {}; want rising multiples of the tile's edge, {}, and it first",
                    fmt::join(c.scales, ","), edge);
  }
  if (c.max_tiles < c.last_scale_tiles()) {
    throw UserError("[nvila] max_tiles is {}, fewer than the {} tiles of the last scale, {}", c.max_tiles,
                    c.last_scale_tiles(), c.scales.back());
  }
}

void validate(const VideoConfig& c, int64_t projected_grid) {
  if (c.frames < 1 || c.frames > 4096) throw UserError("[nvila] video: {} frames, want 1 to 4096", c.frames);
  if (c.pool.size() != 3 || *std::min_element(c.pool.begin(), c.pool.end()) < 1) {
    throw UserError("[nvila] video: pool is {}; want three whole numbers from 1: frames, rows, columns",
                    fmt::join(c.pool, "x"));
  }
  if (c.frames % c.pool[0] != 0 || projected_grid % c.pool[1] != 0 || projected_grid % c.pool[2] != 0) {
    throw UserError("[nvila] video: pool {} does not divide {} frames of {} x {} features", fmt::join(c.pool, "x"),
                    c.frames, projected_grid, projected_grid);
  }
}

}  // namespace

void validate(const NvilaConfig& config) {
  validate(config.vision);
  validate(config.tiles, config.vision.image_size);
  const ProjectorShape shape = projector_shape(config.projector);
  validate(config.video, shape.grid_after(config.vision.grid()));
}

}  // namespace tessera::nvila
