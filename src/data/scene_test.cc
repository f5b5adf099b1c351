// Scenes and clips: what the words claim is what the plan and the pixels show.
#include "data/scene.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "data/clip.h"
#include "media/png.h"

namespace tessera::data {
namespace {

/// Thirty flat tiles, each of a colour of its own, so that a pixel's colour identifies its object. No font is needed.
std::unique_ptr<EmojiWorld> tiles() {
  std::vector<Emoji> emoji;
  std::vector<std::string> pngs;
  const auto add = [&](const std::string& name) {
    Image tile(8, 8, 4, 255);
    const auto shade = static_cast<uint8_t>(7 * emoji.size());
    for (size_t i = 0; i < tile.pixels.size(); i += 4) {
      tile.pixels[i] = shade;
      tile.pixels[i + 1] = 13;
      tile.pixels[i + 2] = 17;
    }
    emoji.push_back({.text = name, .name = name});
    pngs.push_back(media::encode_png(tile));
  };
  for (const char* colour : {"red", "green", "blue"}) {
    for (const char* thing : {"circle", "heart"}) add(std::string(colour) + " " + thing);
  }
  for (int i = 6; i < 30; ++i) add("thing " + std::to_string(i));
  return std::make_unique<EmojiWorld>(std::move(emoji), std::move(pngs), "tiles");
}

EmojiOptions options(const std::string& split = "train") {
  return {.kind = "scene", .size = 96, .seed = 4, .ground = "pastel", .split = split};
}

TEST(Scene, SamplesDependOnIndexAndSeedAlone) {
  const SceneSource a(tiles(), options()), b(tiles(), options());
  EmojiOptions other = options();
  other.seed = 5;
  const SceneSource c(tiles(), other);
  int same = 0;
  for (uint64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(a.at(i).picture, b.at(i).picture);
    EXPECT_EQ(a.at(i).caption, b.at(i).caption);
    same += a.at(i).caption == c.at(i).caption;
  }
  EXPECT_LT(same, 10);
}

TEST(Scene, EveryObjectFillsItsSquareAndTheRestIsGround) {
  const SceneSource source(tiles(), options());
  for (uint64_t i = 0; i < 100; ++i) {
    const Scene scene = source.scene_at(i);
    const Image picture = source.at(i).picture;
    for (int64_t y = 0; y < 96; ++y) {
      for (int64_t x = 0; x < 96; ++x) {
        media::Rgb expected = grounds()[scene.ground].colour;
        for (const PlacedObject& o : scene.objects) {
          if (x >= o.x && x < o.x + o.size && y >= o.y && y < o.y + o.size)
            expected = {static_cast<uint8_t>(7 * o.id), 13, 17};
        }
        ASSERT_TRUE(std::equal(expected.begin(), expected.end(), picture.at(x, y)))
            << "scene " << i << " at " << x << ", " << y;
      }
    }
  }
}

TEST(Scene, PositionCaptionsAgreeWithTheSquares) {
  const SceneSource source(tiles(), options());
  for (uint64_t i = 0; i < 400; ++i) {
    const Scene scene = source.scene_at(i);
    if (scene.kind != SceneKind::position) continue;
    const PlacedObject &a = scene.objects[0], &b = scene.objects[1];
    switch (scene.relation) {
      case Relation::left:
        EXPECT_LE(a.x + a.size, b.x);
        break;
      case Relation::right:
        EXPECT_LE(b.x + b.size, a.x);
        break;
      case Relation::above:
        EXPECT_LE(a.y + a.size, b.y);
        break;
      case Relation::below:
        EXPECT_LE(b.y + b.size, a.y);
        break;
    }
    EXPECT_THAT(caption_of(scene), ::testing::HasSubstr(std::string(relation_words(scene.relation))));
  }
}

TEST(Scene, OnlyTheNamedKindsComeInTurn) {
  EmojiOptions some = options();
  some.kinds = {"position", "two"};
  const SceneSource source(tiles(), some);
  for (uint64_t i = 0; i < 40; ++i)
    EXPECT_EQ(source.scene_at(i).kind, i % 2 == 0 ? SceneKind::position : SceneKind::two) << i;
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"pair"}, {"two", "two"}}) {
    some.kinds = wrong;
    EXPECT_THROW(SceneSource(tiles(), some), UserError);
    EXPECT_THROW(check(some), UserError);
  }
  some.kinds = {"single", "counting"};
  check(some);
  some.split = "heldout";
  EXPECT_THROW(check(some), UserError) << "nothing to hold out";
}

TEST(Scene, RowsAreCentredEqualAndInTheCaptionsOrder) {
  EmojiOptions rows = options();
  rows.layout = "rows";
  const SceneSource source(tiles(), rows);
  std::set<size_t> counts;
  for (uint64_t i = 0; i < 400; ++i) {
    const Scene scene = source.scene_at(i);
    const auto& objects = scene.objects;
    counts.insert(objects.size());
    int64_t left = 96, right = 0, top = 96, bottom = 0;
    for (const PlacedObject& o : objects) {
      EXPECT_EQ(o.size, objects[0].size);
      left = std::min(left, o.x), right = std::max(right, o.x + o.size);
      top = std::min(top, o.y), bottom = std::max(bottom, o.y + o.size);
      for (const PlacedObject& other : objects) {
        EXPECT_TRUE(&o == &other || o.x + o.size <= other.x || other.x + other.size <= o.x || o.y + o.size <= other.y ||
                    other.y + other.size <= o.y);
      }
    }
    EXPECT_EQ(left, 96 - right);
    EXPECT_EQ(top, 96 - bottom);
    if (scene.kind == SceneKind::position) {
      const PlacedObject &a = objects[0], &b = objects[1];
      EXPECT_EQ(a.x < b.x, scene.relation == Relation::left);
      EXPECT_EQ(a.y < b.y, scene.relation == Relation::above);
      EXPECT_EQ(a.x > b.x, scene.relation == Relation::right);
    } else if (objects.size() > 1) {
      EXPECT_TRUE(objects[0].x < objects[1].x && objects[0].y == objects[1].y);
    }
  }
  EXPECT_THAT(counts, ::testing::ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(Scene, AnswersAgreeWithTheObjects) {
  const SceneSource source(tiles(), options());
  std::set<std::string> kinds;
  for (uint64_t i = 0; i < 400; ++i) {
    const Sample sample = source.at(i);
    const auto of = [&](const std::string& name) {
      return std::ranges::find(sample.objects, name, &PlacedObject::name);
    };
    for (const Question& question : sample.questions) {
      kinds.insert(question.kind);
      if (question.text == "How many things are there?")
        EXPECT_EQ(question.answer, std::to_string(sample.objects.size()));
      if (question.kind == "presence") {
        const std::string name = question.text.substr(question.text.find(' ', 9) + 1);
        EXPECT_EQ(question.answer == "yes", of(name.substr(0, name.size() - 1)) != sample.objects.end())
            << question.text;
      }
      if (question.kind == "size") {
        const int64_t edge = of(question.answer)->size;
        for (const PlacedObject& o : sample.objects) {
          if (question.text.find("the " + o.name + " or") != std::string::npos ||
              question.text.ends_with("the " + o.name + "?"))
            EXPECT_LE(o.size, edge);
        }
      }
      if (question.kind == "place") {
        const auto thing = of(question.text.substr(13, question.text.size() - 14));
        ASSERT_NE(thing, sample.objects.end()) << question.text;
        EXPECT_EQ(question.answer.starts_with("top"), 2 * thing->y + thing->size < sample.picture.height);
        EXPECT_EQ(question.answer.ends_with("left"), 2 * thing->x + thing->size < sample.picture.width);
      }
      if (question.kind == "reading") {
        for (const PlacedObject& o : sample.objects) EXPECT_GE(o.size, of(question.answer)->size);
      }
    }
  }
  EXPECT_THAT(kinds, ::testing::IsSupersetOf({"presence", "count", "colour", "position", "size", "place", "reading"}));
}

TEST(Scene, TrainingNeverShowsAHeldOutPairingAndTheHeldOutSplitAlwaysDoes) {
  const SceneSource train(tiles(), options()), held(tiles(), options("heldout"));
  const auto held_out_pairs = [](const Scene& scene) {
    int found = 0;
    const std::string_view relation =
        scene.kind == SceneKind::position ? relation_words(scene.relation) : std::string_view();
    for (size_t a = 0; a < scene.objects.size(); ++a) {
      for (size_t b = a + 1; b < scene.objects.size(); ++b) {
        if (scene.objects[a].id == scene.objects[b].id) continue;
        found += pair_is_held_out(scene.objects[a].id, scene.objects[b].id) ||
                 pair_is_held_out(scene.objects[a].id, scene.objects[b].id, relation);
      }
    }
    return found;
  };
  for (uint64_t i = 0; i < 300; ++i) {
    EXPECT_EQ(held_out_pairs(train.scene_at(i)), 0);
    const Scene scene = held.scene_at(i);
    if (scene.objects.size() > 1 && scene.kind != SceneKind::counting) EXPECT_GT(held_out_pairs(scene), 0);
  }
}

TEST(Turned, FourQuarterTurnsAreTheIdentity) {
  Image picture(5, 5, 3);
  for (size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = static_cast<uint8_t>(i);
  EXPECT_EQ(turned(turned(turned(turned(picture, 1), 1), 1), 1), picture);
  EXPECT_EQ(*turned(picture, 1).at(4, 0), *picture.at(0, 0)) << "clockwise: the left top corner goes to the right top";
}

TEST(Clip, DirectionsOrderAndCountsAgreeWithTheFrames) {
  EmojiOptions o = options();
  o.kind = "clip";
  const ClipSource source(tiles(), o);
  for (uint64_t i = 0; i < 60; ++i) {
    const Clip clip = source.clip_at(i);
    for (size_t m = 0; m < clip.movers.size(); ++m) {
      const Mover& mover = clip.movers[m];
      if (m > 0) EXPECT_GT(mover.first, clip.movers[m - 1].first);
      EXPECT_EQ(mover.direction == "left", mover.dx < 0);
      EXPECT_EQ(mover.direction == "right", mover.dx > 0);
      EXPECT_EQ(mover.direction == "up", mover.dy < 0);
      EXPECT_EQ(mover.direction == "down", mover.dy > 0);
    }
    const Sample sample = source.at(i);
    ASSERT_EQ(sample.frames.size(), 8u);
    EXPECT_EQ(sample.frames.back(), sample.picture);
    for (const PlacedObject& object : sample.objects) {  // inside the picture at the end, seen whole
      EXPECT_GE(std::min(object.x, object.y), 0);
      EXPECT_LE(std::max(object.x, object.y) + object.size, 96);
      EXPECT_EQ(*sample.picture.at(object.x + object.size / 2, object.y + object.size / 2),
                static_cast<uint8_t>(7 * object.id));
    }
  }
}

TEST(Clip, OrderIsAskedOnlyWhereItIsVisibleAndIsIndependentOfTheLanes) {
  EmojiOptions o = options();
  o.kind = "clip";
  for (const int64_t frames : {2, 4, 8}) {
    o.frames = frames;
    const ClipSource source(tiles(), o);
    int in_order = 0, pairs = 0;
    for (uint64_t i = 0; i < 300; ++i) {
      const Clip clip = source.clip_at(i);
      size_t seen = 0;
      for (size_t m = 1; m < clip.movers.size(); ++m) {
        const Mover &a = clip.movers[m - 1], &b = clip.movers[m];
        const bool across = a.dx != 0 || b.dx != 0;
        if (across || a.dy != 0 || b.dy != 0) {
          // two that do not move do not show which way the lanes run
          ++pairs;
          in_order += across ? a.object.y < b.object.y : a.object.x < b.object.x;
        }
        EXPECT_LE(a.first, b.first);
        seen += a.first < b.first;
      }
      const std::vector<Question> asked = questions_of(clip);
      EXPECT_EQ(std::ranges::count(asked, "order", &Question::kind), static_cast<std::ptrdiff_t>(seen));
      if (frames > 2) {
        EXPECT_EQ(seen + 1, clip.movers.size()) << "four frames have room for three to come one by one";
      }
    }
    EXPECT_NEAR(static_cast<double>(in_order) / pairs, 0.5, 0.1);
  }
}

TEST(Clip, FewNamesStillHoldOutClipsAndNoneOfThemIsTrainedOn) {
  EmojiOptions few = options("heldout");
  few.kind = "clip";
  const ClipSource held(tiles(), few);
  few.split = "train";
  const ClipSource train(tiles(), few);
  for (uint64_t i = 0; i < 60; ++i) {
    const Clip clip = held.clip_at(i), learnt = train.clip_at(i);
    if (clip.movers.size() > 1) {
      EXPECT_TRUE(pair_is_held_out(clip.movers[0].object.id, clip.movers[1].object.id));
    }
    for (const Mover& a : learnt.movers) {
      for (const Mover& b : learnt.movers) EXPECT_TRUE(&a == &b || !pair_is_held_out(a.object.id, b.object.id));
    }
  }
}

}  // namespace
}  // namespace tessera::data
