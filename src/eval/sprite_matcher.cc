// Distances to all sprites at once: |a|^2 - 2ab is enough to rank them, one matrix-vector product.
#include "eval/sprite_matcher.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>

#include <map>
#include <string>

#include "data/emoji_source.h"
#include "media/compose.h"

namespace tessera::eval {

namespace {
Image seen(const Image& picture) {
  return media::resize_area(media::over(picture, media::white), SpriteMatcher::edge, SpriteMatcher::edge);
}

Tensor as_row(const Image& picture) {
  Image copy = picture;
  return at::from_blob(copy.pixels.data(), {static_cast<int64_t>(copy.pixels.size())}, at::kByte).to(at::kFloat);
}
}  // namespace

Tensor matcher_pixels(const Image& picture) { return as_row(seen(picture)); }

SpriteMatcher::SpriteMatcher(const data::EmojiWorld& world) {
  std::map<std::vector<uint8_t>, size_t> known;
  std::vector<Tensor> rows;
  for (size_t id = 0; id < world.size(); ++id) {
    const Image sprite = seen(data::sprite_on_white(world, id, 2 * edge));
    const auto [entry, is_new] = known.emplace(sprite.pixels, id);
    canonical_.push_back(entry->second);
    if (!is_new) continue;
    rows.push_back(as_row(sprite));
    ids_.push_back(id);
  }
  sprites_ = at::stack(rows);
  squared_norms_ = sprites_.square().sum(1);
}

std::vector<size_t> SpriteMatcher::nearest(const Image& picture, size_t k) const {
  const Tensor ranks = squared_norms_ - 2 * sprites_.matmul(matcher_pixels(picture));
  const auto count = std::min<int64_t>(static_cast<int64_t>(k), ranks.numel());
  const Tensor rows = std::get<1>(ranks.topk(count, 0, /*largest=*/false));
  std::vector<size_t> nearest;
  for (int64_t i = 0; i < count; ++i) nearest.push_back(ids_[static_cast<size_t>(rows[i].item<int64_t>())]);
  return nearest;
}

}  // namespace tessera::eval
