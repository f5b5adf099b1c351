// Sprite samples: which emoji, on what ground, called how; all from counters, nothing remembered but resized pictures.
#include "data/emoji_source.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"
#include "core/rng.h"
#include "data/atlas.h"
#include "data/clip.h"
#include "data/heldout.h"
#include "data/permutation.h"
#include "data/scene.h"
#include "data/wording.h"
#include "media/compose.h"

namespace tessera::data {

void check(const EmojiOptions& o) {
  const auto refuse = [](std::string_view key, auto got, std::string_view want) {
    throw UserError("[emoji] {} is out of range; got {}, want {}", key, got, want);
  };
  if (o.kind != "sprite" && o.kind != "scene" && o.kind != "clip") refuse("kind", o.kind, "sprite, scene or clip");
  if (o.size < 8 || o.size > 4096) refuse("size", o.size, "8 to 4096");
  if (o.ground != "white" && o.ground != "pastel") refuse("ground", o.ground, "white or pastel");
  if (o.split != "train" && o.split != "heldout") refuse("split", o.split, "train or heldout");
  if (o.frames < 2 || o.frames > 1000) refuse("frames", o.frames, "2 to 1000");
  if (!(o.turned >= 0 && o.turned <= 1)) refuse("turned", o.turned, "a share from 0 to 1");
  if (o.layout != "free" && o.layout != "rows") refuse("layout", o.layout, "free or rows");
  if (o.layout == "rows" && o.kind == "scene" && o.heldout_share > 0)
    refuse("heldout_share", o.heldout_share, "0: scenes in rows have too few arrangements to hold any out");
  if (o.heldout_share != 0 && !(o.heldout_share >= 0.001 && o.heldout_share <= 0.5))
    refuse("heldout_share", o.heldout_share, "0, or a share from 0.001 to 0.5");
  if (o.names < 0) refuse("names", o.names, "0 (all) or a count");
  if (!(o.reworded >= 0 && o.reworded <= 1)) refuse("reworded", o.reworded, "a share from 0 to 1");
  if (!(o.keywords >= 0 && o.foreign >= 0 && o.keywords + o.foreign <= 1)) {
    refuse("keywords + foreign", o.keywords + o.foreign, "shares from 0 to 1 together");
  }
  const std::vector<SceneKind> kinds = scene_kinds_named(o.kinds);
  const auto shows_one_thing = [](SceneKind kind) {
    return kind == SceneKind::single || kind == SceneKind::counting || kind == SceneKind::colours;
  };
  if (o.kind == "scene" && o.split == "heldout" && std::ranges::all_of(kinds, shows_one_thing))
    refuse("kinds", fmt::format("{}", fmt::join(o.kinds, ", ")),
           "one with a pairing, such as two, beside the split heldout");
  if (o.foreign > 0 && o.languages.empty()) refuse("foreign", o.foreign, "a list of languages beside it");
}

std::unique_ptr<EmojiWorld> open_world(const EmojiOptions& options) {
  return options.atlas.empty() ? EmojiWorld::from_system(options.languages) : read_atlas(options.atlas);
}

std::vector<size_t> chosen_ids(const EmojiWorld& world, const EmojiOptions& options) {
  const size_t all = world.size();
  const size_t taking_part = options.names == 0 ? all : std::min(all, static_cast<size_t>(options.names));
  const bool train = options.split == "train" || options.kind != "sprite";
  std::vector<size_t> ids;
  for (size_t i = train ? 0 : taking_part; i < (train ? taking_part : all); ++i) {
    ids.push_back(permuted(i, all, static_cast<uint64_t>(options.names_seed)));
  }
  if (ids.empty()) throw UserError("[emoji] no name is held out; got names = 0 (all), want a count below {}", all);
  return ids;
}

std::vector<std::string> some_keywords(const Emoji& emoji, Rng& rng) {
  std::vector<std::string> words = emoji.keywords;
  const size_t count = 1 + rng.below(std::min<size_t>(3, words.size()));
  for (size_t i = 0; i < count; ++i) std::swap(words[i], words[i + rng.below(words.size() - i)]);
  words.resize(count);
  return words;
}

Image sprite_on_white(const EmojiWorld& world, size_t id, int64_t size) {
  return media::over(media::resize_area(world.sprite(id), size, size), media::white);
}

SpriteSource::SpriteSource(std::unique_ptr<EmojiWorld> world, EmojiOptions options)
    : world_(std::move(world)), options_(std::move(options)), ids_(chosen_ids(*world_, options_)),
      resized_(world_->size()), ready_(std::make_unique<std::once_flag[]>(world_->size())) {
  if (options_.heldout_share == 0 || options_.ground != "white") return;
  const auto trains = [&](size_t id) { return !is_held_out(hash_text(world_->png(id)), options_.heldout_share); };
  const auto first_held = std::stable_partition(ids_.begin(), ids_.end(), trains);
  heldout_ids_.assign(first_held, ids_.end());
  ids_.erase(first_held, ids_.end());
  if (ids_.empty())
    throw UserError("[emoji] heldout_share is {} and leaves no sprite to train on", options_.heldout_share);
}

size_t SpriteSource::id_at(uint64_t index) const {
  const uint64_t pass = index / ids_.size();
  const uint64_t order = mix64(static_cast<uint64_t>(options_.seed)) + pass;
  return ids_[permuted(index % ids_.size(), ids_.size(), order)];
}

std::string SpriteSource::caption(const Emoji& emoji, Rng& rng) const {
  const double chance = rng.uniform();
  if (chance < options_.keywords && !emoji.keywords.empty()) {
    return fmt::format("{}", fmt::join(some_keywords(emoji, rng), ", "));
  }
  if (chance >= 1 - options_.foreign) {
    const auto words = emoji.languages.find(options_.languages[rng.below(options_.languages.size())]);
    if (words != emoji.languages.end() && !words->second.name.empty()) return words->second.name;
  }
  if (options_.reworded > 0 && rng.chance(options_.reworded)) return in_other_words(emoji.name, rng);
  return emoji.name;
}

/// A ground's colour is drawn until it stands on the side that is asked for; white has no side.
Sample SpriteSource::sample_of(size_t id, Rng rng, bool heldout) const {
  std::call_once(ready_[id],
                 [&] { resized_[id] = media::resize_area(world_->sprite(id), options_.size, options_.size); });
  Sample sample;
  sample.caption = caption(world_->emoji()[id], rng);
  media::Rgb ground = media::white;
  if (options_.ground == "white") {
    sample.picture_id = id;
  } else {
    do {
      for (uint8_t& value : ground) value = static_cast<uint8_t>(176 + rng.below(80));
    } while (is_held_out(mix64((ground[0] << 16) + (ground[1] << 8) + ground[2]), options_.heldout_share) != heldout);
  }
  sample.picture = media::over(resized_[id], ground);
  return sample;
}

Sample SpriteSource::at(uint64_t index) const {
  return sample_of(id_at(index), Rng(static_cast<uint64_t>(options_.seed), index).split(hash_text("sprite")), false);
}

std::vector<Sample> SpriteSource::heldout(uint64_t most) const {
  if (options_.heldout_share == 0) return {};
  const bool white = options_.ground == "white";
  const std::vector<size_t>& ids = white ? heldout_ids_ : ids_;
  const uint64_t count = white ? std::min<uint64_t>(most, ids.size()) : most;
  std::vector<Sample> samples;
  for (uint64_t i = 0; i < count; ++i) {
    const Rng rng = Rng(static_cast<uint64_t>(options_.seed), i).split(hash_text("heldout sprite"));
    const uint64_t place = count <= ids.size() ? i * ids.size() / count : i % ids.size();
    samples.push_back(sample_of(ids[place], rng, true));
  }
  return samples;
}

std::unique_ptr<SampleSource> make_emoji_source(const EmojiOptions& options) {
  check(options);
  if (options.kind == "scene") return std::make_unique<SceneSource>(open_world(options), options);
  if (options.kind == "clip") return std::make_unique<ClipSource>(open_world(options), options);
  return std::make_unique<SpriteSource>(open_world(options), options);
}

}  // namespace tessera::data
