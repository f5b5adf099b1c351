// Choosing, placing and drawing what a scene shows.
#include "data/scene.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "core/error.h"
#include "data/heldout.h"
#include "data/wording.h"

namespace tessera::data {

namespace {
constexpr uint64_t held_out_share = 10;  // one pairing in ten
constexpr int tries = 64;
constexpr uint64_t patience = 200;  // turns before another kind of scene is tried
constexpr uint64_t most_turns = 5000;

bool overlap(const PlacedObject& a, const PlacedObject& b) {
  return a.x < b.x + b.size && b.x < a.x + a.size && a.y < b.y + b.size && b.y < a.y + a.size;
}

bool holds(Relation relation, const PlacedObject& a, const PlacedObject& b) {
  const bool beside = std::abs((a.y + a.size / 2) - (b.y + b.size / 2)) < std::max(a.size, b.size) / 2;
  const bool stacked = std::abs((a.x + a.size / 2) - (b.x + b.size / 2)) < std::max(a.size, b.size) / 2;
  switch (relation) {
    case Relation::left:
      return beside && a.x + a.size <= b.x;
    case Relation::right:
      return beside && b.x + b.size <= a.x;
    case Relation::above:
      return stacked && a.y + a.size <= b.y;
    case Relation::below:
      return stacked && b.y + b.size <= a.y;
  }
  return false;
}

/// Edges as shares of the canvas: a lone sprite is large, a crowd is small, and now and then one is hard to read.
int64_t draw_edge(size_t count, int64_t canvas, Rng& rng) {
  const double most = count == 1 ? 0.9 : count == 2 ? 0.48 : count <= 4 ? 0.4 : 0.3;
  const double least = count > 2 && rng.chance(0.25) ? 0.14 : most * 0.7;
  return std::max<int64_t>(8, static_cast<int64_t>(rng.uniform(least, most) * static_cast<double>(canvas)));
}

/// Gives every object a position without overlap; false when it did not work out.
bool place(Scene& scene, int64_t canvas, Rng& rng) {
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    PlacedObject& object = scene.objects[i];
    const auto free = [&] {
      const auto begin = scene.objects.begin();
      return std::none_of(begin, begin + static_cast<std::ptrdiff_t>(i),
                          [&](const PlacedObject& other) { return overlap(object, other); });
    };
    int left = tries;
    do {
      object.size = draw_edge(scene.objects.size(), canvas, rng);
      object.x = static_cast<int64_t>(rng.below(static_cast<uint64_t>(canvas - object.size + 1)));
      object.y = static_cast<int64_t>(rng.below(static_cast<uint64_t>(canvas - object.size + 1)));
    } while (!free() && --left > 0);
    if (left == 0) return false;
  }
  return scene.kind != SceneKind::position || holds(scene.relation, scene.objects[0], scene.objects[1]);
}

/// Centred rows of equal squares, as large as fit: what stands so is drawn the same wherever it stands.
void place_in_rows(Scene& scene, int64_t canvas) {
  std::vector<PlacedObject>& objects = scene.objects;
  const auto count = static_cast<int64_t>(objects.size());
  const bool column = scene.kind == SceneKind::position && scene.relation >= Relation::above;
  const bool backwards =
      scene.kind == SceneKind::position && (scene.relation == Relation::right || scene.relation == Relation::below);
  const int64_t rows = count > 2 || column ? 2 : 1;
  const int64_t widest = column ? 1 : (count + rows - 1) / rows;
  const int64_t edge = canvas / std::max(rows, widest);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = i / widest, in_row = std::min(widest, count - row * widest);
    PlacedObject& object = objects[static_cast<size_t>(backwards ? count - 1 - i : i)];
    object.size = edge;
    object.x = (canvas - in_row * edge) / 2 + (i - row * widest) * edge;
    object.y = (canvas - rows * edge) / 2 + row * edge;
  }
}
}  // namespace

const std::vector<Ground>& grounds() {
  static const std::vector<Ground> list{
      {"white", media::white},   {"pink", {250, 200, 215}},   {"yellow", {250, 240, 170}}, {"green", {195, 235, 195}},
      {"blue", {190, 220, 250}}, {"purple", {220, 205, 245}}, {"grey", {205, 205, 205}},   {"black", {30, 30, 34}}};
  return list;
}

std::string_view scene_kind_name(SceneKind kind) {
  static constexpr std::array<std::string_view, 7> names{"single",   "two",     "counting", "colours",
                                                         "position", "binding", "crowd"};
  return names[static_cast<size_t>(kind)];
}

std::vector<SceneKind> scene_kinds_named(const std::vector<std::string>& names) {
  if (names.empty()) return {scene_kinds.begin(), scene_kinds.end()};
  std::vector<SceneKind> kinds;
  for (const std::string& name : names) {
    const auto kind = std::ranges::find(scene_kinds, name, scene_kind_name);
    if (kind == scene_kinds.end() || std::ranges::find(kinds, *kind) != kinds.end())
      throw UserError(
          "[emoji] kinds of scenes: got '{}'{}, want some of single, two, counting, colours, position, "
          "binding, crowd, each once",
          name, kind == scene_kinds.end() ? "" : " twice");
    kinds.push_back(*kind);
  }
  return kinds;
}

std::vector<ColouredEmoji> coloured_emoji(const EmojiWorld& world) {
  std::vector<ColouredEmoji> found;
  for (const char* colour : {"red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white"}) {
    for (const char* thing : {"circle", "square", "heart", "book", "apple"}) {
      const size_t id = world.find(fmt::format("{} {}", colour, thing));
      if (id < world.size()) found.push_back({id, colour, thing});
    }
  }
  return found;
}

bool pair_is_held_out(size_t a, size_t b, std::string_view relation) {
  const uint64_t low = std::min(a, b), high = std::max(a, b);
  return mix64(mix64(low ^ hash_text(relation)) ^ high) % held_out_share == 0;
}

Image turned(const Image& picture, int64_t quarters) {
  if (quarters % 4 == 0) return picture;
  Image out(picture.height, picture.width, picture.channels);
  for (int64_t y = 0; y < picture.height; ++y) {
    for (int64_t x = 0; x < picture.width; ++x)
      std::copy_n(picture.at(x, y), picture.channels, out.at(picture.height - 1 - y, x));
  }
  return turned(out, quarters - 1);
}

Image draw_scene(const Scene& scene, const EmojiWorld& world, int64_t size) {
  Image canvas = media::over(Image(size, size, 4, 0), grounds()[scene.ground].colour);
  for (const PlacedObject& object : scene.objects) {
    const Image sprite = media::resize_area(world.sprite(object.id), object.size, object.size);
    media::paste(canvas, turned(sprite, object.turn), object.x, object.y);
  }
  return canvas;
}

SceneSource::SceneSource(std::unique_ptr<EmojiWorld> world, EmojiOptions options)
    : world_(std::move(world)), options_(std::move(options)), ids_(chosen_ids(*world_, options_)),
      coloured_(coloured_emoji(*world_)), kinds_(scene_kinds_named(options_.kinds)) {
  if (ids_.size() < 6) throw UserError("[emoji] scenes need at least 6 names, got {}", ids_.size());
}

std::vector<size_t> SceneSource::choose_ids(Scene& scene, Rng& rng) const {
  const auto coloured = [&] { return coloured_[rng.below(coloured_.size())].id; };
  switch (scene.kind) {
    case SceneKind::single:
      return {draw_id(rng)};
    case SceneKind::colours:
      return {coloured()};
    case SceneKind::counting:
      return std::vector<size_t>(2 + rng.below(4), draw_id(rng));
    case SceneKind::binding:
      return {coloured(), coloured()};
    case SceneKind::two:
    case SceneKind::position:
      return {draw_id(rng), draw_id(rng)};
    case SceneKind::crowd:
      break;
  }
  std::vector<size_t> ids(3 + rng.below(4));
  std::ranges::generate(ids, [&] { return draw_id(rng); });
  return ids;
}

bool SceneSource::allowed(const std::vector<size_t>& ids, const Scene& scene) const {
  if (ids.size() == 1 || scene.kind == SceneKind::counting) return true;
  const std::string_view relation =
      scene.kind == SceneKind::position ? relation_words(scene.relation) : std::string_view();
  bool any_held_out = false;
  for (size_t i = 0; i < ids.size(); ++i) {
    for (size_t j = i + 1; j < ids.size(); ++j) {
      if (ids[i] == ids[j]) return false;
      any_held_out |= pair_is_held_out(ids[i], ids[j]) || pair_is_held_out(ids[i], ids[j], relation);
    }
  }
  return any_held_out == (options_.split == "heldout");
}

uint64_t identity_of(const Scene& scene) {
  std::vector<std::array<int64_t, 3>> squares;
  for (const PlacedObject& o : scene.objects) squares.push_back({o.x, o.y, o.size});
  std::ranges::sort(squares);
  uint64_t identity = mix64(scene.ground);
  for (const auto& square : squares) {
    for (const int64_t value : square) identity = mix64(identity ^ static_cast<uint64_t>(value));
  }
  return identity;
}

/// Each turn is a fresh draw; about half of them work out, and of those few are held out.
Scene SceneSource::plan(Rng rng, uint64_t index, bool heldout) const {
  const auto rarer = static_cast<uint64_t>(heldout ? std::ceil(1 / options_.heldout_share) : 1);
  for (uint64_t turn = 0; turn < most_turns * rarer; ++turn) {
    Scene scene;  // few names may hold out no pair of one kind, so another kind gets its turn
    scene.kind = kinds_[(index + turn / (patience * rarer)) % kinds_.size()];
    scene.relation = static_cast<Relation>(rng.below(4));
    scene.ground = options_.ground == "white" ? 0 : rng.below(grounds().size());
    scene.size = options_.size;
    const bool of_colours = scene.kind == SceneKind::colours || scene.kind == SceneKind::binding;
    if (of_colours && coloured_.empty()) continue;
    const std::vector<size_t> ids = choose_ids(scene, rng);
    if (!allowed(ids, scene)) continue;
    for (const size_t id : ids) {
      const int64_t turn = rng.chance(options_.turned) ? 1 + static_cast<int64_t>(rng.below(3)) : 0;
      scene.objects.push_back({.id = id, .name = world_->emoji()[id].name, .turn = turn});
    }
    if (options_.layout == "rows") {
      place_in_rows(scene, options_.size);
      return scene;
    }
    if (place(scene, options_.size, rng) && is_held_out(identity_of(scene), options_.heldout_share) == heldout)
      return scene;
  }
  throw UserError("[emoji] {} names hold no {}scene of the split '{}'; give more names{}", ids_.size(),
                  heldout ? "held-out " : "", options_.split, options_.kinds.empty() ? "" : " or more kinds");
}

Scene SceneSource::scene_at(uint64_t index) const {
  return plan(Rng(static_cast<uint64_t>(options_.seed), index).split(hash_text("scene")), index, false);
}

Sample SceneSource::sample_of(Scene scene, Rng rng) const {
  Sample sample;
  sample.picture = draw_scene(scene, *world_, options_.size);
  sample.caption = options_.reworded > 0 && rng.split(hash_text("reworded")).chance(options_.reworded)
                       ? in_other_words(scene, rng)
                       : caption_of(scene);
  sample.questions = questions_of(scene, *world_, rng);
  sample.objects = std::move(scene.objects);
  return sample;
}

Sample SceneSource::at(uint64_t index) const {
  return sample_of(scene_at(index), Rng(static_cast<uint64_t>(options_.seed), index).split(hash_text("questions")));
}

std::vector<Sample> SceneSource::heldout(uint64_t most) const {
  std::vector<Sample> samples;
  for (uint64_t i = 0; i < (options_.heldout_share > 0 ? most : 0); ++i) {
    const Rng rng(static_cast<uint64_t>(options_.seed), i);
    samples.push_back(
        sample_of(plan(rng.split(hash_text("heldout scene")), i, true), rng.split(hash_text("heldout questions"))));
  }
  return samples;
}

}  // namespace tessera::data
