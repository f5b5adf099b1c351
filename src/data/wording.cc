// Every form is one that leaves nothing out, so that a reworded caption is as true as the plain one.
#include "data/wording.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <vector>

namespace tessera::data {

namespace {
template <class T> void shuffle(std::vector<T>& items, Rng& rng) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[rng.below(i)]);
}

template <size_t n> std::string_view one_of(const std::array<std::string_view, n>& choices, Rng& rng) {
  return choices[rng.below(n)];
}

/// "flag: Japan" becomes "Japan flag" or "flag Japan".
std::string shuffled_words(std::string_view name, Rng& rng) {
  std::vector<std::string> words;
  std::istringstream stream{std::string(name)};
  for (std::string word; stream >> word;) {
    while (word.size() > 1 && (word.back() == ':' || word.back() == ',')) word.pop_back();
    words.push_back(std::move(word));
  }
  shuffle(words, rng);
  return fmt::format("{}", fmt::join(words, " "));
}

/// A thing of a scene: with its article or without.
std::string thing(const PlacedObject& object, Rng& rng) {
  return rng.chance(0.5) ? with_article(object.name) : object.name;
}

std::string number_claim(const Scene& scene, Rng& rng) {
  const std::string& name = scene.objects[0].name;
  const size_t count = scene.objects.size();
  switch (rng.below(4)) {
    case 0:
      return fmt::format("{} {}", count, name);
    case 1:
      return fmt::format("{} {} emoji", count, name);
    case 2:
      return fmt::format("{}, {} times", name, number_words(count));
    default:
      return fmt::format("{} {}", number_words(count), name);
  }
}

std::string place_claim(const Scene& scene, Rng& rng) {
  const PlacedObject *a = &scene.objects[0], *b = &scene.objects[1];
  Relation relation = scene.relation;
  if (rng.chance(0.5)) {  // the same seen from the other one
    static constexpr std::array opposite{Relation::right, Relation::left, Relation::below, Relation::above};
    relation = opposite[static_cast<size_t>(relation)];
    std::swap(a, b);
  }
  const std::string first = thing(*a, rng), second = thing(*b, rng);
  switch (rng.below(3)) {
    case 0: {
      static constexpr std::array<std::string_view, 4> longer{"to the left of", "to the right of", "on top of",
                                                              "under"};
      return fmt::format("{} {} {}", first, longer[static_cast<size_t>(relation)], second);
    }
    case 1: {
      static constexpr std::array<std::string_view, 4> here{"on the left", "on the right", "at the top",
                                                            "at the bottom"};
      static constexpr std::array<std::string_view, 4> there{"on the right", "on the left", "at the bottom",
                                                             "at the top"};
      const auto at = static_cast<size_t>(relation);
      return fmt::format("{} {}, {} {}", first, here[at], second, there[at]);
    }
    default:
      return fmt::format("{} {} {}", first, relation_words(relation), second);
  }
}

std::string list_claim(const Scene& scene, Rng& rng) {
  std::vector<const PlacedObject*> objects;
  for (const PlacedObject& object : scene.objects) objects.push_back(&object);
  shuffle(objects, rng);
  const std::string_view joint = one_of<4>({" and ", ", ", " with ", " & "}, rng);
  std::string text;
  for (const PlacedObject* object : objects) text += std::string(text.empty() ? "" : joint) + thing(*object, rng);
  return text;
}
}  // namespace

std::string in_other_words(std::string_view name, Rng& rng) {
  switch (rng.below(5)) {
    case 0:
      return with_article(name);
    case 1:
      return fmt::format("{} emoji", name);
    case 2:
      return fmt::format("{} {}", one_of<3>({"picture of", "an emoji of", "draw"}, rng), with_article(name));
    default:
      return shuffled_words(name, rng);
  }
}

std::string in_other_words(const Scene& scene, Rng& rng) {
  std::string text;
  if (scene.kind == SceneKind::counting) {
    text = number_claim(scene, rng);
  } else if (scene.kind == SceneKind::position) {
    text = place_claim(scene, rng);
  } else {
    text = scene.objects.size() == 1 ? in_other_words(scene.objects[0].name, rng) : list_claim(scene, rng);
  }
  if (scene.ground == 0) return text;
  const char* ground = grounds()[scene.ground].name;
  if (rng.chance(0.5)) return fmt::format("{} background: {}", ground, text);
  return fmt::format("{} on {}", text, ground);
}

}  // namespace tessera::data
