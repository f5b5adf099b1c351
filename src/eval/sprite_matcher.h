// Which emoji does a picture show? The nearest base sprite by a fixed pixel distance; no model is the judge.
//
// The distance (docs/infinity.md): both pictures on white, averaged by area to 32 x 32, sRGB values 0 to 255, mean of the
// squared differences over all pixels and channels.
#pragma once

#include <vector>

#include "data/emoji.h"
#include "tensor/tensor.h"

namespace tessera::eval {

class SpriteMatcher {
 public:
  static constexpr int64_t edge = 32;

  /// Of all base sprites of `world`.
  explicit SpriteMatcher(const data::EmojiWorld& world);

  /// Ids of the `k` nearest sprites, nearest first. Sprites with the same pixels at this size count as one: only the
  /// first of them is listed.
  std::vector<size_t> nearest(const Image& picture, size_t k) const;
  /// The representative id of all sprites with the same pixels as `id`.
  size_t canonical(size_t id) const { return canonical_[id]; }

 private:
  Tensor sprites_;                 // [distinct, 3 * edge * edge], float
  Tensor squared_norms_;           // [distinct]
  std::vector<size_t> ids_;        // catalogue id of each row
  std::vector<size_t> canonical_;  // by catalogue id
};

/// A picture as the matcher sees it: [3 * edge * edge], float.
Tensor matcher_pixels(const Image& picture);

}  // namespace tessera::eval
