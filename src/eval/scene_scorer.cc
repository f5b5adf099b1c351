// Template matching by convolution: with P and T measured from the ground, the score is (2 P.T - P.P) / T.T.
#include "eval/scene_scorer.h"

#include <ATen/ops/conv2d.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

#include "media/compose.h"

namespace tessera::eval {

namespace {
constexpr int64_t working_edge = 64;  // pictures are searched at this size
constexpr double found_at = 0.5;
constexpr size_t nearest_sprites = 5;
constexpr size_t most_judged = 12;  // more than a scene ever holds

Tensor as_planes(const Image& picture) {  // [3, H, W]
  Image copy = media::over(picture, media::white);
  return at::from_blob(copy.pixels.data(), {copy.height, copy.width, 3}, at::kByte)
      .to(at::kFloat)
      .permute({2, 0, 1})
      .contiguous();
}

media::Rgb border_colour(const Image& picture) {
  media::Rgb median{};
  for (int c = 0; c < 3; ++c) {
    std::vector<uint8_t> values;
    for (int64_t i = 0; i < picture.width; ++i) {
      values.push_back(picture.at(i, 0)[c]);
      values.push_back(picture.at(i, picture.height - 1)[c]);
    }
    for (int64_t i = 0; i < picture.height; ++i) {
      values.push_back(picture.at(0, i)[c]);
      values.push_back(picture.at(picture.width - 1, i)[c]);
    }
    std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
    median[static_cast<size_t>(c)] = values[values.size() / 2];
  }
  return median;
}

bool overlap(const Found& a, const Found& b) {
  const double width = std::min(a.x + a.size, b.x + b.size) - std::max(a.x, b.x);
  const double height = std::min(a.y + a.size, b.y + b.size) - std::max(a.y, b.y);
  return width > 0 && height > 0 && width * height > 0.25 * std::min(a.size * a.size, b.size * b.size);
}

/// Every position of one size that scores high enough.
void match_size(const Tensor& picture, const Image& sprite, const media::Rgb& ground, int64_t size,
                std::vector<Found>& out) {
  const Image small = media::over(media::resize_area(sprite, size, size), ground);
  const Tensor ground_plane = at::tensor({float(ground[0]), float(ground[1]), float(ground[2])}).view({3, 1, 1});
  const Tensor plate = as_planes(small) - ground_plane, measured = (picture - ground_plane).unsqueeze(0);
  const double energy = plate.square().sum().item<double>();
  if (energy < 1) return;  // a sprite of the ground's own colour cannot be seen
  const Tensor agreement = at::conv2d(measured, plate.unsqueeze(0));
  const Tensor present = at::conv2d(measured.square().sum(1, /*keepdim=*/true), at::ones({1, 1, size, size}));
  const Tensor score = ((2 * agreement - present) / energy)
                           .squeeze()
                           .reshape({working_edge - size + 1, working_edge - size + 1})
                           .contiguous();
  const float* values = score.const_data_ptr<float>();
  for (int64_t i = 0; i < score.numel(); ++i) {
    if (values[i] < found_at) continue;
    out.push_back({.x = static_cast<double>(i % score.size(1)),
                   .y = static_cast<double>(i / score.size(1)),
                   .size = static_cast<double>(size),
                   .score = values[i]});
  }
}
}  // namespace

std::vector<Found> SceneScorer::find(const Image& picture, size_t id) const {
  const Image small = media::resize_area(media::over(picture, media::white), working_edge, working_edge);
  const media::Rgb ground = border_colour(small);
  const Tensor planes = as_planes(small);
  std::vector<Found> candidates, judged, kept;
  for (double size = 8; size <= working_edge; size *= 1.12)
    match_size(planes, world_.sprite(id), ground, std::lround(size), candidates);
  std::ranges::sort(candidates, std::greater(), &Found::score);
  for (const Found& candidate : candidates) {
    if (std::ranges::any_of(judged, [&](const Found& other) { return overlap(candidate, other); })) continue;
    judged.push_back(candidate);
    const Image square = media::crop(small, std::lround(candidate.x), std::lround(candidate.y),
                                     std::lround(candidate.size), std::lround(candidate.size));
    const std::vector<size_t> nearest = matcher_.nearest(square, nearest_sprites);
    if (std::ranges::find(nearest, matcher_.canonical(id)) != nearest.end()) kept.push_back(candidate);
    if (judged.size() == most_judged) break;
  }
  const double scale = static_cast<double>(picture.width) / working_edge;
  for (Found& found : kept) {
    found.x *= scale;
    found.y *= scale;
    found.size *= scale;
  }
  return kept;
}

bool SceneScorer::correct(const Image& picture, const data::Scene& scene) const {
  using data::Relation, data::SceneKind;
  const auto& objects = scene.objects;
  if (scene.kind == SceneKind::counting) return find(picture, objects[0].id).size() == objects.size();
  if (scene.kind == SceneKind::position) {
    const std::vector<Found> first = find(picture, objects[0].id), second = find(picture, objects[1].id);
    if (first.empty() || second.empty()) return false;
    const double right = second[0].centre_x() - first[0].centre_x(), down = second[0].centre_y() - first[0].centre_y();
    switch (scene.relation) {
      case Relation::left:
        return right > std::abs(down);
      case Relation::right:
        return -right > std::abs(down);
      case Relation::above:
        return down > std::abs(right);
      case Relation::below:
        return -down > std::abs(right);
    }
  }
  return std::ranges::all_of(objects, [&](const PlacedObject& object) { return is_there(picture, object.id); });
}

std::vector<data::Scene> scene_prompts(const data::EmojiOptions& options, int64_t count) {
  data::EmojiOptions plain = options;
  plain.kind = "scene";
  plain.ground = "white";
  plain.turned = 0;
  plain.kinds = {};
  plain.layout = "free";  // so that the prompts are the same, whatever a recipe shows
  const data::SceneSource source(data::open_world(plain), plain);
  std::vector<data::Scene> prompts;
  for (uint64_t index = 0; static_cast<int64_t>(prompts.size()) < count; ++index) {
    data::Scene scene = source.scene_at(index);
    if (scene.kind != data::SceneKind::crowd) prompts.push_back(std::move(scene));
  }
  return prompts;
}

}  // namespace tessera::eval
