// The catalogue against counts that emoji-test.txt itself states; sprite samples against their laws.
#include "data/emoji.h"

#include <gmock/gmock.h>

#include <set>

#include "core/error.h"
#include "data/emoji_source.h"
#include "data/source.h"
#include "media/compose.h"

namespace tessera::data {

namespace {
bool has_system_files() {
  const EmojiFiles files;
  return std::filesystem::exists(files.font) && std::filesystem::exists(files.emoji_test) &&
         std::filesystem::exists(files.cldr);
}
#define NEEDS_SYSTEM_EMOJI() \
  if (!has_system_files()) GTEST_SKIP() << "this machine has no emoji font or no Unicode files"

template <class F> std::string message_of(F action) {
  try {
    action();
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}
}  // namespace

TEST(EmojiCatalog, HasThe1870BaseEmojiWithNamesGroupsAndWords) {
  NEEDS_SYSTEM_EMOJI();
  const EmojiCatalog catalog = read_catalog({}, {"de"});
  ASSERT_EQ(catalog.unicode_version, "15.0");
  EXPECT_EQ(catalog.emoji.size(), 1870u);
  std::set<std::string> names;
  for (const Emoji& emoji : catalog.emoji) names.insert(emoji.name);
  EXPECT_EQ(names.size(), 1870u);
  const auto apple = std::ranges::find(catalog.emoji, "red apple", &Emoji::name);
  ASSERT_NE(apple, catalog.emoji.end());
  EXPECT_EQ(apple->text, "\xF0\x9F\x8D\x8E");
  EXPECT_EQ(apple->group, "Food & Drink");
  EXPECT_EQ(apple->languages.at("de").name, "roter Apfel");
  EXPECT_THAT(apple->keywords, ::testing::Contains("fruit"));
}

TEST(EmojiWorld, EverySpriteIsAMostlyOpaqueSquareAndASequenceIsOnePicture) {
  NEEDS_SYSTEM_EMOJI();
  const auto world = EmojiWorld::from_system();
  ASSERT_EQ(world->size(), 1870u);
  for (const char* name :
       {"red apple", "flag: Germany", "keycap: #", "man: red hair", "flag: England", "family: man, woman, girl, boy"}) {
    const size_t id = world->find(name);
    ASSERT_LT(id, world->size()) << name;
    const Image& sprite = world->sprite(id);
    EXPECT_EQ(sprite.width, 136);
    EXPECT_EQ(sprite.height, 136);
    int64_t opaque = 0;
    for (size_t i = 3; i < sprite.pixels.size(); i += 4) opaque += sprite.pixels[i] == 255;
    EXPECT_GT(opaque, 136 * 136 / 8) << name;
  }
}

TEST(EmojiWorld, MissingFilesNameTheDebianPackage) {
  EmojiFiles files;
  files.emoji_test = "/nowhere/emoji-test.txt";
  EXPECT_THAT(message_of([&] { EmojiWorld::from_system({}, files); }), ::testing::HasSubstr("unicode-data"));
  NEEDS_SYSTEM_EMOJI();
  files = {};
  files.cldr = "/nowhere/cldr";
  EXPECT_THAT(message_of([&] { EmojiWorld::from_system({}, files); }), ::testing::HasSubstr("unicode-cldr-core"));
  files = {};
  files.font = "/nowhere/font.ttf";
  EXPECT_THAT(message_of([&] { EmojiWorld::from_system({}, files); }), ::testing::HasSubstr("fonts-noto-color-emoji"));
  EXPECT_THAT(message_of([&] { EmojiWorld::from_system({"tlh"}); }), ::testing::HasSubstr("no language 'tlh'"));
}

TEST(SpriteSource, EveryPassVisitsEachSpriteOnceInItsOwnOrder) {
  NEEDS_SYSTEM_EMOJI();
  const EmojiOptions options{.seed = 3, .names = 100};
  const SpriteSource source(open_world(options), options);
  ASSERT_EQ(source.pass_length(), 100u);
  std::vector<size_t> passes[2];
  for (uint64_t i = 0; i < 200; ++i) passes[i / 100].push_back(source.id_at(i));
  EXPECT_NE(passes[0], passes[1]);
  EXPECT_THAT(passes[0], ::testing::UnorderedElementsAreArray(source.ids()));
  EXPECT_THAT(passes[1], ::testing::UnorderedElementsAreArray(source.ids()));
}

TEST(SpriteSource, HeldOutNamesAreExactlyTheOtherOnes) {
  NEEDS_SYSTEM_EMOJI();
  const auto world = open_world({});
  std::set<size_t> all;
  for (const char* split : {"train", "heldout"}) {
    for (const size_t id : chosen_ids(*world, {.names = 500, .split = split})) EXPECT_TRUE(all.insert(id).second);
  }
  EXPECT_EQ(all.size(), world->size());
}

TEST(SpriteSource, SamplesAreAPureFunctionOfTheirIndexAndSharePixelsByPictureId) {
  NEEDS_SYSTEM_EMOJI();
  const DataConfig config{
      .emoji = {.seed = 5, .names = 20, .keywords = 0.3, .foreign = 0.3, .languages = {"de", "ja"}}};
  const auto one = make_source(config), two = make_source(config);
  std::map<uint64_t, Image> by_id;
  for (uint64_t i = 40; i-- > 0;) {
    const Sample a = one->at(i), b = two->at(i);
    EXPECT_EQ(a.caption, b.caption);
    EXPECT_EQ(a.picture, b.picture);
    ASSERT_TRUE(a.picture_id);
    EXPECT_EQ(by_id.emplace(*a.picture_id, a.picture).first->second, a.picture);
    EXPECT_EQ(a.picture.width, 64);
    EXPECT_EQ(a.picture.channels, 3);
  }
}

}  // namespace tessera::data
