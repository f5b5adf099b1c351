// Scenes judged in the style of GenEval (arXiv 2310.11513): are the things that the prompt names there, as many, of that
// colour, on that side? Sprites are found by template matching over position and size; no model is the judge.
//
// A template of edge s at (x, y) scores 1 - |picture - template|^2 / |ground - template|^2 over its square, the ground
// being the median colour of the picture's border: 1 is the sprite itself, 0 or less is bare ground. It is found where
// the score is at least 0.5 and highest among overlapping positions, and where it is among the five sprites nearest to the
// square (eval/sprite_matcher.h).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "data/scene.h"
#include "eval/sprite_matcher.h"

namespace tessera::eval {

/// A square where a sprite was found, in pixels of the picture.
struct Found {
  double x = 0, y = 0, size = 0;
  double score = 0;
  double centre_x() const { return x + size / 2; }
  double centre_y() const { return y + size / 2; }
};

class SceneScorer {
 public:
  explicit SceneScorer(const data::EmojiWorld& world) : world_(world), matcher_(world) {}

  /// All positions of one sprite, best first, without overlaps.
  std::vector<Found> find(const Image& picture, size_t id) const;
  /// Whether `picture` shows what caption_of(scene) describes.
  bool correct(const Image& picture, const data::Scene& scene) const;

 private:
  bool is_there(const Image& picture, size_t id) const { return !find(picture, id).empty(); }

  const data::EmojiWorld& world_;
  SpriteMatcher matcher_;
};

/// Prompts of GenEval's six kinds in turn: single, two, counting, colours, position, binding. Upright sprites on white.
std::vector<data::Scene> scene_prompts(const data::EmojiOptions& options, int64_t count);

}  // namespace tessera::eval
