// Planning, drawing and describing clips. Each mover keeps to a lane of its own, so nothing is ever hidden.
#include "data/clip.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include "core/error.h"
#include "data/heldout.h"
#include "data/permutation.h"

namespace tessera::data {

namespace {
constexpr std::array<const char*, 4> directions{"left", "right", "up", "down"};
constexpr double still_share = 0.2;
constexpr int most_tries = 100'000;  // clips drawn in search of one that is held out

PlacedObject placed_at(const Mover& mover, int64_t frame) {
  PlacedObject object = mover.object;
  object.x += mover.dx * (frame - mover.first);
  object.y += mover.dy * (frame - mover.first);
  return object;
}

/// The frame in which the `turn`-th mover of `movers` comes: they share the first half, as far as it has frames for all.
int64_t first_frame(size_t turn, size_t movers, int64_t frames) {
  const auto share = static_cast<int64_t>(turn) * (frames / 2), all = static_cast<int64_t>(movers);
  return (share + all - 1) / all;
}

/// Lane `lane` of `lanes` runs across (left, right) or down (up, down) the whole clip.
Mover plan_mover(size_t lane, size_t lanes, int64_t first, bool across, int64_t frames, int64_t canvas, Rng& rng) {
  const int64_t width = canvas / static_cast<int64_t>(lanes);
  Mover mover;
  PlacedObject& object = mover.object;
  object.size = std::max<int64_t>(
      8, static_cast<int64_t>(static_cast<double>(std::min(width, canvas / 2)) * rng.uniform(0.7, 0.95)));
  mover.first = first;
  const int64_t room = canvas - object.size, steps = std::max<int64_t>(1, frames - 1 - mover.first);
  const int64_t side = static_cast<int64_t>(lane) * width + (width - object.size) / 2;
  const bool still = rng.chance(still_share), forward = rng.chance(0.5);
  const int64_t pace = still ? 0 : std::max<int64_t>(1, room / steps);
  const int64_t start = still     ? static_cast<int64_t>(rng.below(static_cast<uint64_t>(room) + 1))
                        : forward ? 0
                                  : std::min(room, pace * steps);
  object.x = across ? start : side;
  object.y = across ? side : start;
  (across ? mover.dx : mover.dy) = forward ? pace : -pace;
  mover.direction = still ? "nowhere" : directions[(across ? 0 : 2) + (forward ? 1 : 0)];
  return mover;
}
}  // namespace

Image draw_frame(const Clip& clip, const EmojiWorld& world, int64_t frame, int64_t size) {
  Scene scene;
  scene.ground = clip.ground;
  for (const Mover& mover : clip.movers) {
    if (frame >= mover.first) scene.objects.push_back(placed_at(mover, frame));
  }
  return draw_scene(scene, world, size);
}

std::string caption_of(const Clip& clip) {
  std::string text;
  for (size_t i = 0; i < clip.movers.size(); ++i) {
    const Mover& mover = clip.movers[i];
    if (i > 0) text += mover.first > clip.movers[i - 1].first ? ", then " : " and ";
    text += with_article(mover.object.name) +
            (mover.dx == 0 && mover.dy == 0 ? " standing still" : " moving " + mover.direction);
  }
  return clip.ground == 0 ? text : text + fmt::format(" on a {} ground", grounds()[clip.ground].name);
}

std::vector<Question> questions_of(const Clip& clip) {
  std::vector<Question> out;
  for (const Mover& mover : clip.movers) {
    out.push_back({"direction", fmt::format("Which way does the {} move?", mover.object.name), mover.direction});
  }
  for (size_t i = 0; i + 1 < clip.movers.size(); ++i) {
    if (clip.movers[i].first == clip.movers[i + 1].first) continue;
    const std::string &a = clip.movers[i].object.name, &b = clip.movers[i + 1].object.name;
    out.push_back({"order", fmt::format("Which comes first, the {} or the {}?", b, a), a});
  }
  out.push_back({"count", "How many things are there at the end?", std::string(number_words(clip.movers.size()))});
  out.push_back({"count", "How many things are there at the start?",
                 std::string(number_words(static_cast<size_t>(std::ranges::count(clip.movers, 0, &Mover::first))))});
  return out;
}

ClipSource::ClipSource(std::unique_ptr<EmojiWorld> world, EmojiOptions options)
    : world_(std::move(world)), options_(std::move(options)), ids_(chosen_ids(*world_, options_)) {
  if (ids_.size() < 6) throw UserError("[emoji] clips need at least 6 names, got {}", ids_.size());
}

uint64_t identity_of(const Clip& clip) {
  std::vector<std::array<int64_t, 6>> movements;
  for (const Mover& m : clip.movers) movements.push_back({m.object.x, m.object.y, m.object.size, m.first, m.dx, m.dy});
  std::ranges::sort(movements);
  uint64_t identity = mix64(clip.ground);
  for (const auto& movement : movements) {
    for (const int64_t value : movement) identity = mix64(identity ^ static_cast<uint64_t>(value));
  }
  return identity;
}

Clip ClipSource::plan(Rng& rng, uint64_t index) const {
  Clip clip;
  clip.frames = options_.frames;
  clip.ground = options_.ground == "white" ? 0 : rng.below(grounds().size());
  const size_t count = 1 + index % 3;
  const bool across = rng.chance(0.5);
  std::vector<size_t> ids;
  for (int turn = 0; ids.size() < count; ++turn) {
    if (turn == 5000)
      throw UserError("[emoji] {} names hold no clip of the split '{}'; give more names", ids_.size(), options_.split);
    const size_t id = ids_[rng.below(ids_.size())];
    // a clip is held out when its first two are: of few names, hardly any three are held out pair by pair
    const bool heldout = options_.split == "heldout";
    const auto clashes = [&](size_t other) { return id == other || (!heldout && pair_is_held_out(id, other)); };
    const bool asked_for = !heldout || ids.size() != 1 || pair_is_held_out(id, ids.front());
    if (asked_for && std::ranges::none_of(ids, clashes)) ids.push_back(id);
  }
  std::vector<size_t> lanes(count);
  std::iota(lanes.begin(), lanes.end(), size_t{0});
  shuffle(lanes, rng);  // so that a single frame does not show which came first
  for (size_t i = 0; i < count; ++i) {
    const int64_t first = first_frame(i, count, clip.frames);
    Mover& mover =
        clip.movers.emplace_back(plan_mover(lanes[i], count, first, across, clip.frames, options_.size, rng));
    mover.object.id = ids[i];
    mover.object.name = world_->emoji()[ids[i]].name;
  }
  return clip;
}

Clip ClipSource::clip_at(uint64_t index) const {
  Rng rng = Rng(static_cast<uint64_t>(options_.seed), index).split(hash_text("clip"));
  for (int tries = 0; tries < most_tries; ++tries) {
    const Clip clip = plan(rng, index);
    if (!is_held_out(identity_of(clip), options_.heldout_share)) return clip;
  }
  throw UserError("[emoji] every clip of {} movers is held out; want a smaller heldout_share", 1 + index % 3);
}

Sample ClipSource::sample_of(const Clip& clip) const {
  Sample sample;
  for (int64_t frame = 0; frame < clip.frames; ++frame)
    sample.frames.push_back(draw_frame(clip, *world_, frame, options_.size));
  sample.picture = sample.frames.back();
  sample.caption = caption_of(clip);
  sample.questions = questions_of(clip);
  for (const Mover& mover : clip.movers) sample.objects.push_back(placed_at(mover, clip.frames - 1));
  return sample;
}

Sample ClipSource::at(uint64_t index) const { return sample_of(clip_at(index)); }

std::vector<Sample> ClipSource::heldout(uint64_t most) const {
  std::vector<Sample> samples;
  for (uint64_t i = 0; i < (options_.heldout_share > 0 ? most : 0); ++i) {
    Rng rng = Rng(static_cast<uint64_t>(options_.seed), i).split(hash_text("heldout clip"));
    std::optional<Clip> clip;
    for (int tries = 0; tries < most_tries && !clip; ++tries) {
      clip = plan(rng, i);
      if (!is_held_out(identity_of(*clip), options_.heldout_share)) clip.reset();
    }
    if (!clip) throw UserError("[emoji] no clip of {} movers is held out; want a larger heldout_share", 1 + i % 3);
    samples.push_back(sample_of(*clip));
  }
  return samples;
}

}  // namespace tessera::data
