// The judges on pictures whose truth is known: the sprites themselves and rendered scenes, right and wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "data/emoji_source.h"
#include "eval/drawing.h"
#include "eval/scene_scorer.h"
#include "eval/sprite_matcher.h"

namespace tessera::eval {
namespace {

/// The system's world, read once; null where this machine has no emoji font.
const data::EmojiWorld* system_world() {
  static const std::unique_ptr<data::EmojiWorld> world = [] {
    const data::EmojiFiles files;
    const bool there = std::filesystem::exists(files.font) && std::filesystem::exists(files.emoji_test) &&
                       std::filesystem::exists(files.cldr);
    return there ? data::EmojiWorld::from_system() : nullptr;
  }();
  return world.get();
}
#define NEEDS_WORLD() \
  if (system_world() == nullptr) GTEST_SKIP() << "this machine has no emoji font or no Unicode files"

TEST(SpriteMatcher, EverySpriteIsNearestToItself) {
  NEEDS_WORLD();
  const SpriteMatcher matcher(*system_world());
  for (size_t id = 0; id < system_world()->size(); id += 13) {
    EXPECT_EQ(matcher.nearest(data::sprite_on_white(*system_world(), id, 64), 1).front(), matcher.canonical(id)) << id;
  }
}

TEST(SpriteMatcher, ANoisySpriteIsStillFoundAndAnotherIsNot) {
  NEEDS_WORLD();
  const SpriteMatcher matcher(*system_world());
  const size_t apple = system_world()->find("red apple"), train = system_world()->find("locomotive");
  Image picture = data::sprite_on_white(*system_world(), apple, 64);
  Rng rng(3);
  for (uint8_t& value : picture.pixels)
    value = static_cast<uint8_t>(std::clamp(value + rng.uniform(-40, 40), 0.0, 255.0));
  EXPECT_EQ(matcher.nearest(picture, 1).front(), matcher.canonical(apple));
  EXPECT_NE(matcher.nearest(picture, 1).front(), matcher.canonical(train));
}

/// Draws the last emoji that has all the keywords of a prompt; where none has, the one of that name.
class KeywordArtist final : public Draws {
 public:
  std::vector<Image> draw(const DrawRequest& request) const override {
    std::vector<Image> pictures;
    for (const std::string& prompt : request.prompts) {
      prompts.insert(prompt);
      size_t found = system_world()->find(prompt);
      for (size_t id = 0; id < system_world()->size(); ++id) {
        if (has_all(id, prompt)) found = id;
      }
      pictures.push_back(found < system_world()->size() ? data::sprite_on_white(*system_world(), found, 64)
                                                        : Image(64, 64, 3, 255));
    }
    return pictures;
  }
  mutable std::set<std::string> prompts;

 private:
  static bool has_all(size_t id, const std::string& prompt) {
    const std::vector<std::string>& has = system_world()->emoji()[id].keywords;
    for (size_t at = 0; at < prompt.size();) {
      const size_t end = std::min(prompt.find(", ", at), prompt.size());
      if (std::ranges::find(has, prompt.substr(at, end - at)) == has.end()) return false;
      at = end + 2;
    }
    return true;
  }
};

TEST(Retrieval, AnySpriteThatHasTheKeywordsIsRight) {
  NEEDS_WORLD();
  const KeywordArtist artist;
  const RetrievalResult keywords =
      measure_retrieval(artist, {.count = 60, .seed = 1, .words = "keywords", .request = {}});
  EXPECT_EQ(keywords.top1, 1);
  const RetrievalResult names = measure_retrieval(artist, {.count = 60, .seed = 1, .request = {}});
  EXPECT_LT(names.top1, 1) << "of a name, its own sprite alone is right";
}

TEST(Retrieval, NamesInOtherWordsAreAskedForByTheSeed) {
  NEEDS_WORLD();
  const KeywordArtist one, two, other, plain;
  measure_retrieval(one, {.count = 60, .seed = 1, .words = "reworded", .request = {}});
  measure_retrieval(two, {.count = 60, .seed = 1, .words = "reworded", .request = {}});
  measure_retrieval(other, {.count = 60, .seed = 2, .words = "reworded", .request = {}});
  measure_retrieval(plain, {.count = 60, .seed = 1, .request = {}});
  EXPECT_EQ(one.prompts, two.prompts);
  EXPECT_NE(one.prompts, other.prompts);
  std::vector<std::string> same;
  std::ranges::set_intersection(one.prompts, plain.prompts, std::back_inserter(same));
  EXPECT_LT(same.size(), 20u);
}

TEST(SceneScorer, TrueScenesScoreHighAndScenesOfOtherPromptsLow) {
  NEEDS_WORLD();
  const SceneScorer scorer(*system_world());
  const auto prompts = scene_prompts({.size = 64, .seed = 2}, 18);
  int right = 0, wrong = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const Image picture = data::draw_scene(prompts[i], *system_world(), 64);
    right += scorer.correct(picture, prompts[i]);
    wrong += scorer.correct(picture, prompts[(i + 6) % prompts.size()]);  // another prompt of the same kind
  }
  EXPECT_GE(right, 16);
  EXPECT_LE(wrong, 2);
}

TEST(SceneScorer, ABlankPictureShowsNothing) {
  NEEDS_WORLD();
  const SceneScorer scorer(*system_world());
  for (const auto& prompt : scene_prompts({.size = 64, .seed = 3}, 6))
    EXPECT_FALSE(scorer.correct(Image(64, 64, 3, 255), prompt));
}

TEST(SceneScorer, AWrongCountOrSideScoresZero) {
  NEEDS_WORLD();
  const SceneScorer scorer(*system_world());
  const size_t apple = system_world()->find("red apple"), book = system_world()->find("blue book");
  data::Scene scene{.kind = data::SceneKind::position, .relation = data::Relation::left};
  scene.objects = {{.id = apple, .name = "red apple", .x = 2, .y = 20, .size = 24},
                   {.id = book, .name = "blue book", .x = 36, .y = 20, .size = 24}};
  const Image picture = data::draw_scene(scene, *system_world(), 64);
  EXPECT_TRUE(scorer.correct(picture, scene));
  scene.relation = data::Relation::right;
  EXPECT_FALSE(scorer.correct(picture, scene));
  data::Scene two{.kind = data::SceneKind::counting};
  two.objects.assign(2, scene.objects[0]);
  EXPECT_FALSE(scorer.correct(picture, two)) << "one apple is not two";
}

}  // namespace
}  // namespace tessera::eval
