// Scenes of Emoji World: one to six sprites on a ground, with words whose truth is exact. A scene is a pure function of
// (options, index, world); GenEval's six kinds of prompts (arXiv 2310.11513) are its kinds of captions.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "core/rng.h"
#include "data/emoji_source.h"
#include "media/compose.h"

namespace tessera::data {

/// A ground that captions can name.
struct Ground {
  const char* name;
  media::Rgb colour;
};
/// White first; captions do not mention white.
const std::vector<Ground>& grounds();

/// What a caption claims.
enum class SceneKind { single, two, counting, colours, position, binding, crowd };
inline constexpr std::array scene_kinds{SceneKind::single,  SceneKind::two,      SceneKind::counting,
                                        SceneKind::colours, SceneKind::position, SceneKind::binding,
                                        SceneKind::crowd};
std::string_view scene_kind_name(SceneKind kind);
/// The kinds of these names, all of them where there are none. Throws UserError for another name or one twice.
std::vector<SceneKind> scene_kinds_named(const std::vector<std::string>& names);

/// The position of the first object relative to the second.
enum class Relation { left, right, above, below };
std::string_view relation_words(Relation relation);  // "left of", "above"

/// What is to be seen, before it is drawn. Names in `objects` are unique per id.
struct Scene {
  SceneKind kind = SceneKind::single;
  Relation relation = Relation::left;  // of objects 0 and 1, for SceneKind::position
  size_t ground = 0;                   // into grounds()
  int64_t size = 0;                    // edge of the picture, in pixels
  std::vector<PlacedObject> objects;
};

/// Emoji whose name is a colour and a thing ("red circle", "green book"): what `colours` and `binding` are made of.
struct ColouredEmoji {
  size_t id;
  std::string colour, thing;
};
std::vector<ColouredEmoji> coloured_emoji(const EmojiWorld& world);

/// Equal pictures have equal identities: a hash of the ground and of the squares that are filled, in any order.
uint64_t identity_of(const Scene& scene);

/// True when two emoji may appear together in this split: one pairing in ten is held out, in either order. A
/// relation has held-out pairings of its own.
bool pair_is_held_out(size_t a, size_t b, std::string_view relation = "");

/// In words: "a red apple left of a cat", "three red apple emoji", ... with the ground when it has a colour.
std::string caption_of(const Scene& scene);
/// Questions of every kind that the scene can answer.
std::vector<Question> questions_of(const Scene& scene, const EmojiWorld& world, Rng rng);
/// Sprites pasted in order on the ground.
Image draw_scene(const Scene& scene, const EmojiWorld& world, int64_t size);

class SceneSource final : public SampleSource {
 public:
  SceneSource(std::unique_ptr<EmojiWorld> world, EmojiOptions options);
  Sample at(uint64_t index) const override;
  /// The plan of sample `index`.
  Scene scene_at(uint64_t index) const;
  /// Scenes of arrangements that at() never gives.
  std::vector<Sample> heldout(uint64_t most) const override;
  const EmojiWorld& world() const { return *world_; }
  std::string edition() const override { return world_->world(); }

 private:
  Scene plan(Rng rng, uint64_t index, bool heldout) const;
  Sample sample_of(Scene scene, Rng rng) const;
  size_t draw_id(Rng& rng) const { return ids_[rng.below(ids_.size())]; }
  std::vector<size_t> choose_ids(Scene& scene, Rng& rng) const;
  bool allowed(const std::vector<size_t>& ids, const Scene& scene) const;

  std::unique_ptr<EmojiWorld> world_;
  EmojiOptions options_;
  std::vector<size_t> ids_;
  std::vector<ColouredEmoji> coloured_;
  std::vector<SceneKind> kinds_;  // in turn
};

/// "a cat", "an apple".
std::string with_article(std::string_view name);
/// "three"; up to six.
std::string_view number_words(size_t count);
/// A sprite turned clockwise by quarter turns; exact.
Image turned(const Image& picture, int64_t quarters);

}  // namespace tessera::data
