// Samples of Emoji World. Sample i is a pure function of (options, i, world); every pass visits each sprite once.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/rng.h"
#include "data/emoji.h"
#include "data/sample.h"

namespace tessera::data {

/// What to draw and how to call it. A recipe's `[data.emoji]` table.
struct EmojiOptions {
  std::string kind = "sprite";
  int64_t size = 64;
  int64_t seed = 0;
  std::string ground = "white";
  int64_t names = 0;
  int64_t names_seed = 0;
  std::string split = "train";
  int64_t frames = 8;
  double turned = 0.1;
  std::string layout = "free";
  std::vector<std::string> kinds;
  double reworded = 0.0;
  double keywords = 0.0;
  double foreign = 0.0;
  std::vector<std::string> languages;
  std::string atlas;
  double heldout_share = 0.0;
  bool operator==(const EmojiOptions&) const = default;
};
template <class V> void fields(V& v, EmojiOptions& o) {
  v("kind", o.kind, "sprite, scene or clip");
  v("size", o.size, "width and height in pixels");
  v("seed", o.seed, "order and chance");
  v("ground", o.ground, "behind the sprites: white, or pastel for many colours (scenes name theirs)");
  v("names", o.names, "how many emoji take part, the first of a shuffle; 0 is all");
  v("names_seed", o.names_seed, "the shuffle that 'names' counts along");
  v("split", o.split, "train or heldout: held-out are the other names (sprite), or the other pairings (scene, clip)");
  v("frames", o.frames, "pictures of a clip");
  v("turned", o.turned, "share of a scene's sprites that lie on their side or head");
  v("layout", o.layout,
    "of scenes: free (anywhere, of any size) or rows (in centred rows, in the caption's order, as large as fits)");
  v("kinds", o.kinds,
    "of scenes, in turn: single, two, counting, colours, position, binding, crowd; empty: all of them");
  v("reworded", o.reworded, "share of captions in other words or another order");
  v("keywords", o.keywords, "share of captions that are keywords instead of the name");
  v("foreign", o.foreign, "share of captions in one of 'languages'");
  v("languages", o.languages, "CLDR language codes such as de, fr, ja");
  v("heldout_share", o.heldout_share,
    "share of the samples that never train: of the pictures on white, of the colours of other grounds, of a scene's or "
    "clip's "
    "arrangements");
  v("atlas", o.atlas, "file packed by 'tessera data emoji --pack'; empty: the system's font");
}
/// Throws UserError for a value outside its range.
void check(const EmojiOptions& options);

/// The system's world, or the atlas when the options name one.
std::unique_ptr<EmojiWorld> open_world(const EmojiOptions& options);
/// Ids that take part, in the shuffle's order: the first `names` for split train, the rest for heldout.
std::vector<size_t> chosen_ids(const EmojiWorld& world, const EmojiOptions& options);
/// One to three of the emoji's keywords, which it has at least one of, in any order.
std::vector<std::string> some_keywords(const Emoji& emoji, Rng& rng);
/// The sprite `size` x `size` on white, as sprite samples show it. RGB.
Image sprite_on_white(const EmojiWorld& world, size_t id, int64_t size);

/// One sprite on a plain ground, each once a pass. On white, `picture_id` is the sprite's id in the catalogue.
class SpriteSource final : public SampleSource {
 public:
  SpriteSource(std::unique_ptr<EmojiWorld> world, EmojiOptions options);
  Sample at(uint64_t index) const override;
  std::optional<uint64_t> pass_length() const override { return ids_.size(); }
  /// The emoji that sample `index` shows.
  size_t id_at(uint64_t index) const;
  /// On white: sprites that at() never shows. On other grounds: sprites on colours that at() never shows.
  std::vector<Sample> heldout(uint64_t most) const override;
  const EmojiWorld& world() const { return *world_; }
  std::string edition() const override { return world_->world(); }
  const std::vector<size_t>& ids() const { return ids_; }

 private:
  std::string caption(const Emoji& emoji, Rng& rng) const;
  Sample sample_of(size_t id, Rng rng, bool heldout) const;

  std::unique_ptr<EmojiWorld> world_;
  EmojiOptions options_;
  std::vector<size_t> ids_, heldout_ids_;  // the second: on white, those that never train
  mutable std::vector<Image> resized_;     // by id; RGBA at options_.size
  mutable std::unique_ptr<std::once_flag[]> ready_;
};

/// The source that the options name. Throws UserError.
std::unique_ptr<SampleSource> make_emoji_source(const EmojiOptions& options);

}  // namespace tessera::data
