// The judges on pictures whose truth is known: the sprites themselves and rendered scenes, right and wrong.
#include <gtest/gtest.h>

#include "data/emoji_source.h"
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
