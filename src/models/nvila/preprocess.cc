// Tiles. What the reference decides in double precision is decided in double precision here, or ties would fall otherwise.
#include "models/nvila/preprocess.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include "core/error.h"
#include "media/compose.h"
#include "models/nvila/projector.h"

namespace tessera::nvila {

namespace {

/// The picture as it is seen on white paper: what lies under clear pixels is never seen.
Image opaque(const Image& picture) { return media::over(picture, media::white); }

Image resized(const Image& picture, int64_t width, int64_t height) {
  if (picture.width == width && picture.height == height) return picture;
  return media::resize_bicubic(picture, width, height);
}

/// Adds the tiles of `picture`, stretched to the grid, row-major.
void add_tiles(std::vector<Image>& tiles, const Image& picture, const Grid& grid, int64_t edge) {
  const Image whole = resized(picture, grid.columns * edge, grid.rows * edge);
  for (int64_t row = 0; row < grid.rows; ++row) {
    for (int64_t column = 0; column < grid.columns; ++column) {
      Image& tile = tiles.emplace_back(edge, edge, 3);
      for (int64_t y = 0; y < edge; ++y) std::copy_n(whole.at(column * edge, row * edge + y), edge * 3, tile.at(0, y));
    }
  }
}

void require_pixels(const Image& picture, const std::string& source) {
  const bool whole = picture.width > 0 && picture.height > 0 && (picture.channels == 3 || picture.channels == 4) &&
                     std::ssize(picture.pixels) == picture.width * picture.height * picture.channels;
  if (!whole) {
    throw UserError("[nvila] {} is {} x {} pixels of {} channels; want a picture in RGB or RGBA",
                    source.empty() ? "a picture" : source, picture.width, picture.height, picture.channels);
  }
}

}  // namespace

Grid best_grid(int64_t width, int64_t height, int64_t least, int64_t most, int64_t edge) {
  const double aspect = static_cast<double>(width) / static_cast<double>(height);
  const double area = static_cast<double>(width) * static_cast<double>(height);
  Grid best;
  double nearest = std::numeric_limits<double>::infinity();
  for (int64_t tiles = least; tiles <= most; ++tiles) {
    for (int64_t columns = 1; columns <= tiles; ++columns) {
      if (tiles % columns != 0) continue;
      const Grid grid{columns, tiles / columns};
      const double away = std::abs(aspect - static_cast<double>(grid.columns) / static_cast<double>(grid.rows));
      const bool filled =
          area > 0.5 * static_cast<double>(edge) * static_cast<double>(edge) * static_cast<double>(tiles);
      if (away < nearest || (away == nearest && filled)) {
        best = grid;
        nearest = away;
      }
    }
  }
  return best;
}

MediaPlan plan_of(const NvilaConfig& config, const Media& media, bool alone) {
  if (media.frames.empty()) throw UserError("[nvila] {} has no frames", media.source.empty() ? "a clip" : media.source);
  for (const Image& frame : media.frames) require_pixels(frame, media.source);
  const auto frames = static_cast<int64_t>(media.frames.size());
  if (media.clip) {
    if (frames % config.video.pool[0] != 0) {
      throw UserError("[nvila] {}: {} frames cannot be pooled by {}; want a multiple of {}",
                      media.source.empty() ? "a clip" : media.source, frames, config.video.pool[0],
                      config.video.pool[0]);
    }
    return {.tiles = frames, .clip = true};
  }
  if (frames != 1) throw UserError("[nvila] a picture with {} frames; mark it as a clip", frames);
  const Image& picture = media.frames.front();
  const TileConfig& c = config.tiles;
  const int64_t edge = config.vision.image_size;
  if (!alone || c.mode == "single") return {};
  if (c.stitches()) {
    const Grid grid = best_grid(picture.width, picture.height, c.last_scale_tiles(), c.max_tiles, edge);
    int64_t tiles = grid.tiles();
    for (size_t i = 0; i + 1 < c.scales.size(); ++i) tiles += (c.scales[i] / edge) * (c.scales[i] / edge);
    return {.tiles = tiles, .grid = grid, .stitched = true};
  }
  const Grid grid = best_grid(picture.width, picture.height, c.min_tiles, c.max_tiles, edge);
  return {.tiles = grid.tiles() + (grid.tiles() > 1 ? 1 : 0), .grid = grid, .listed = true};
}

std::vector<MediaPlan> plans_of(const NvilaConfig& config, const std::vector<Media>& media) {
  const auto pictures = std::count_if(media.begin(), media.end(), [](const Media& m) { return !m.clip; });
  std::vector<MediaPlan> plans;
  for (const Media& each : media) plans.push_back(plan_of(config, each, pictures == 1));
  return plans;
}

std::vector<int64_t> block_rows(const NvilaConfig& config, const MediaPlan& plan) {
  const int64_t edge = projector_shape(config.projector).grid_after(config.vision.grid());
  if (plan.stitched) return {plan.grid.tiles() * edge * edge};
  if (!plan.clip) return std::vector<int64_t>(static_cast<size_t>(plan.tiles), edge * edge);
  const std::vector<int64_t>& pool = config.video.pool;
  return std::vector<int64_t>(static_cast<size_t>(plan.tiles / pool[0]), (edge / pool[1]) * (edge / pool[2]));
}

Tensor pixels_of(const NvilaConfig& config, const Media& media, const MediaPlan& plan) {
  const int64_t edge = config.vision.image_size;
  std::vector<Image> tiles;
  if (plan.clip) {
    for (const Image& frame : media.frames) tiles.push_back(resized(opaque(frame), edge, edge));
    return normalised(tiles);
  }
  const Image picture = opaque(media.frames.front());
  if (plan.stitched) {
    for (size_t i = 0; i + 1 < config.tiles.scales.size(); ++i)
      add_tiles(tiles, picture, {config.tiles.scales[i] / edge, config.tiles.scales[i] / edge}, edge);
  }
  add_tiles(tiles, picture, plan.grid, edge);
  if (plan.listed && plan.grid.tiles() > 1) add_tiles(tiles, picture, {}, edge);
  return normalised(tiles);
}

Tensor normalised(const std::vector<Image>& pictures) {
  const Image& first = pictures.front();
  const auto count = static_cast<int64_t>(pictures.size());
  Tensor bytes = at::empty({count, first.height, first.width, 3}, at::kByte);
  for (int64_t i = 0; i < count; ++i) {
    const Image picture = opaque(pictures[i]);
    std::copy(picture.pixels.begin(), picture.pixels.end(), bytes.mutable_data_ptr<uint8_t>() + i * bytes.stride(0));
  }
  return bytes.permute({0, 3, 1, 2}).to(at::kFloat).mul_(1.0 / 255).sub_(0.5).div_(0.5).contiguous();
}

}  // namespace tessera::nvila
