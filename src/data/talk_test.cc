// Conversations say what the sample's own questions say, and nothing else.
#include "data/talk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/scene.h"

namespace tessera::data {
namespace {

/// Samples with three objects and three questions, without a font.
class Three final : public SampleSource {
 public:
  Sample at(uint64_t index) const override {
    Sample sample;
    sample.picture = Image(4, 4, 3, static_cast<uint8_t>(index));
    sample.caption = "three things";
    sample.objects = {
        {.name = "cat", .x = 40, .size = 20}, {.name = "dog", .x = 0, .size = 30}, {.name = "owl", .x = 80}};
    sample.questions = {
        {"count", "How many?", "3"}, {"size", "Which is larger?", "dog"}, {"colour", "Ground?", "white"}};
    return sample;
  }
};

Sample talk(uint64_t index, TalkOptions options = {}) {
  return TalkSource(std::make_unique<Three>(), std::move(options)).at(index);
}

TEST(Talk, EveryTurnIsAKnownQuestionWithItsAnswerAndOnlyTheFirstShowsThePicture) {
  const std::vector<Question> known = questions_of(Three().at(0));
  for (uint64_t i = 0; i < 50; ++i) {
    const Sample sample = talk(i, {.listing = 0});
    ASSERT_EQ(sample.messages.size(), 6);
    for (size_t turn = 0; turn < sample.messages.size(); turn += 2) {
      const auto is_asked = [&](const Question& q) { return q.text == sample.messages[turn].content; };
      const auto found = std::ranges::find_if(known, is_asked);
      ASSERT_NE(found, known.end());
      EXPECT_EQ(sample.messages[turn + 1].content, found->answer);
      EXPECT_EQ(sample.messages[turn].media, turn == 0 ? 1 : 0);
    }
    EXPECT_EQ(sample.media, (std::vector<Media>{{.frames = {sample.picture}, .source = sample.caption}}));
  }
}

TEST(Talk, ListsGoFromLeftToRight) { EXPECT_EQ(talk(1, {.listing = 1}).messages[1].content, "dog, cat, owl"); }

TEST(Talk, ASingleThingHasItsBareNameInScenesAsOnSprites) {
  Sample scene = Three().at(0);
  scene.objects.resize(1);
  scene.caption = "a cat on a pink ground";
  Sample sprite;
  sprite.caption = "cat";
  EXPECT_EQ(listing_of(scene), listing_of(sprite));
  EXPECT_EQ(listing_of(scene).answer, "cat");
}

TEST(Talk, TurnsAndKindsLimitTheQuestions) {
  for (uint64_t i = 0; i < 20; ++i) {
    EXPECT_EQ(talk(i, {.turns = 1}).messages.size(), 2);
    EXPECT_EQ(talk(i, {.listing = 0, .kinds = {"size"}}).messages[1].content, "dog");
  }
}

TEST(Talk, ClipsHaveTheRequestedNumberOfFrames) {
  Sample clip = Three().at(0);
  for (uint8_t shade = 0; shade < 8; ++shade) clip.frames.emplace_back(4, 4, 3, shade);
  const Media four = media_of(clip, 4, "clip");
  EXPECT_EQ(four.frames, (std::vector<Image>{clip.frames[0], clip.frames[2], clip.frames[5], clip.frames[7]}));
  EXPECT_TRUE(four.clip);
  EXPECT_EQ(media_of(clip, 0, "clip").frames, clip.frames);
  EXPECT_FALSE(media_of(Three().at(0), 4, "picture").clip);
  EXPECT_THROW(check(TalkOptions{.frames = -1}), UserError);
}

TEST(Talk, AnUnknownKindIsRefusedWithTheNearest) {
  try {
    check(TalkOptions{.kinds = {"counts"}});
    FAIL() << "accepted";
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("did you mean 'count'"));
  }
}

}  // namespace
}  // namespace tessera::data
