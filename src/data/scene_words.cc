// The words of a scene: its caption, and questions whose answers are read off the plan, not off the pixels.
#include <algorithm>
#include <cmath>
#include <map>

#include "data/scene.h"

namespace tessera::data {

namespace {
std::string listed(const std::vector<PlacedObject>& objects) {
  std::string text;
  for (size_t i = 0; i < objects.size(); ++i) {
    if (i > 0) text += i + 1 == objects.size() ? " and " : ", ";
    text += with_article(objects[i].name);
  }
  return text;
}

std::map<std::string, int64_t> counts(const Scene& scene) {
  std::map<std::string, int64_t> found;
  for (const PlacedObject& object : scene.objects) ++found[object.name];
  return found;
}

/// Questions about pairs: sides are asked only where they are beyond doubt (no overlap along that axis).
void add_pair_questions(const PlacedObject& a, const PlacedObject& b, Rng& rng, std::vector<Question>& out) {
  const auto yes_no = [&](std::string_view words, bool truth) {
    out.push_back({"position", fmt::format("Is the {} {} the {}?", a.name, words, b.name), truth ? "yes" : "no"});
  };
  if (a.x + a.size <= b.x || b.x + b.size <= a.x) {
    const bool left = rng.chance(0.5);
    yes_no(left ? "left of" : "right of", left == (a.x < b.x));
  }
  if (a.y + a.size <= b.y || b.y + b.size <= a.y) {
    const bool above = rng.chance(0.5);
    yes_no(above ? "above" : "below", above == (a.y < b.y));
  }
  if (std::max(a.size, b.size) * 10 >= std::min(a.size, b.size) * 13) {  // a third larger is plain to see
    out.push_back(
        {"size", fmt::format("Which is larger, the {} or the {}?", a.name, b.name), a.size > b.size ? a.name : b.name});
  }
}

/// Where things are that are there once, each with its middle clearly inside one quarter of the picture.
void add_places(const Scene& scene, const std::map<std::string, int64_t>& present, std::vector<Question>& out) {
  const double doubt = 0.06 * static_cast<double>(scene.size);
  for (const PlacedObject& o : scene.objects) {
    const double across = static_cast<double>(2 * o.x + o.size - scene.size) / 2;
    const double down = static_cast<double>(2 * o.y + o.size - scene.size) / 2;
    if (present.at(o.name) > 1 || std::abs(across) < doubt || std::abs(down) < doubt) continue;
    out.push_back({"place", fmt::format("Where is the {}?", o.name),
                   fmt::format("{} {}", down < 0 ? "top" : "bottom", across < 0 ? "left" : "right")});
  }
}
}  // namespace

std::string with_article(std::string_view name) {
  const bool vowel = std::string_view("aeiouAEIOU").find(name.front()) != std::string_view::npos;
  return fmt::format("{} {}", vowel ? "an" : "a", name);
}

std::string_view number_words(size_t count) {
  static constexpr std::array<std::string_view, 7> words{"zero", "one", "two", "three", "four", "five", "six"};
  return words[count];
}

std::string_view relation_words(Relation relation) {
  static constexpr std::array<std::string_view, 4> words{"left of", "right of", "above", "below"};
  return words[static_cast<size_t>(relation)];
}

std::string caption_of(const Scene& scene) {
  std::string text;
  if (scene.kind == SceneKind::counting) {
    text = fmt::format("{} {} emoji", number_words(scene.objects.size()), scene.objects[0].name);
  } else if (scene.kind == SceneKind::position) {
    text = fmt::format("{} {} {}", with_article(scene.objects[0].name), relation_words(scene.relation),
                       with_article(scene.objects[1].name));
  } else {
    text = listed(scene.objects);
  }
  if (scene.ground != 0) text += fmt::format(" on a {} ground", grounds()[scene.ground].name);
  return text;
}

std::vector<Question> questions_of(const Scene& scene, const EmojiWorld& world, Rng rng) {
  std::vector<Question> out;
  const auto present = counts(scene);
  const PlacedObject& first = scene.objects[rng.below(scene.objects.size())];
  out.push_back({"presence", fmt::format("Is there {}?", with_article(first.name)), "yes"});
  const std::string& other = world.emoji()[rng.below(world.size())].name;
  if (!present.contains(other)) out.push_back({"presence", fmt::format("Is there {}?", with_article(other)), "no"});
  out.push_back({"count", "How many things are there?", std::to_string(scene.objects.size())});
  out.push_back(
      {"count", fmt::format("How many {} emoji are there?", first.name), std::to_string(present.at(first.name))});
  out.push_back({"colour", "What colour is the ground?", grounds()[scene.ground].name});
  for (const ColouredEmoji& coloured : coloured_emoji(world)) {
    const auto same_thing = std::ranges::count_if(
        scene.objects, [&](const PlacedObject& o) { return o.name.ends_with(" " + coloured.thing); });
    if (present.contains(world.emoji()[coloured.id].name) && same_thing == 1) {
      out.push_back({"colour", fmt::format("What colour is the {}?", coloured.thing), coloured.colour});
    }
  }
  for (size_t i = 0; i + 1 < scene.objects.size(); ++i) {
    const PlacedObject &a = scene.objects[i], &b = scene.objects[i + 1];
    if (present.at(a.name) == 1 && present.at(b.name) == 1) add_pair_questions(a, b, rng, out);
  }
  std::vector<const PlacedObject*> by_size;
  for (const PlacedObject& object : scene.objects) by_size.push_back(&object);
  std::ranges::sort(by_size, {}, [](const PlacedObject* o) { return o->size; });
  const bool one_is_smallest =
      by_size.size() > 1 && by_size[0]->size < by_size[1]->size && present.at(by_size[0]->name) == 1;
  if (one_is_smallest) out.push_back({"reading", "What is the smallest thing?", by_size[0]->name});
  add_places(scene, present, out);
  return out;
}

}  // namespace tessera::data
