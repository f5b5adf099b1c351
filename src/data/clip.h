// Clips of Emoji World: one to three sprites that come in and move straight. A clip is a pure function of (options, index,
// world). Direction, order and number at the start can only be seen in several frames.
#pragma once

#include <memory>
#include <vector>

#include "data/scene.h"

namespace tessera::data {

/// A sprite that is seen from frame `first` on, and moves (dx, dy) pixels per frame.
struct Mover {
  PlacedObject object;  // where it is in frame `first`
  int64_t first = 0;
  int64_t dx = 0, dy = 0;
  std::string direction;  // "left", "right", "up", "down", or "nowhere"
};

struct Clip {
  size_t ground = 0;
  std::vector<Mover> movers;  // in order of appearance
  int64_t frames = 8;
};

Image draw_frame(const Clip& clip, const EmojiWorld& world, int64_t frame, int64_t size);
/// Equal clips have equal identities: a hash of the ground and of the movements, whoever makes them.
uint64_t identity_of(const Clip& clip);
std::string caption_of(const Clip& clip);
std::vector<Question> questions_of(const Clip& clip);

class ClipSource final : public SampleSource {
 public:
  ClipSource(std::unique_ptr<EmojiWorld> world, EmojiOptions options);
  /// `picture` is the last frame; `objects` are the positions of things in it.
  Sample at(uint64_t index) const override;
  Clip clip_at(uint64_t index) const;
  /// Clips of movements that at() never gives. Of fewer than all their frames two clips may still look alike.
  std::vector<Sample> heldout(uint64_t most) const override;
  const EmojiWorld& world() const { return *world_; }
  std::string edition() const override { return world_->world(); }

 private:
  Clip plan(Rng& rng, uint64_t index) const;
  Sample sample_of(const Clip& clip) const;

  std::unique_ptr<EmojiWorld> world_;
  EmojiOptions options_;
  std::vector<size_t> ids_;
};

}  // namespace tessera::data
