// The one promise of held-out data, for every source and for mixtures and selections of them: what is measured on never trains. Samples
// are compared by what is in them, never by their index.
#include "data/heldout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/rng.h"
#include "data/atlas.h"
#include "data/selected.h"
#include "data/source.h"
#include "data/testing_tokenizer.h"
#include "media/png.h"
#include "tests/support/scratch.h"

namespace tessera::data {
namespace {

uint64_t digest_of(const std::vector<uint8_t>& bytes) {
  return hash_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

/// What a model is shown of a sample: pixels, or else words. Two samples with one content are the same to whoever measures.
std::string content_of(const Sample& sample) {
  std::string content;
  const auto add = [&](const Image& image) {
    content += fmt::format("{}x{} {:x};", image.width, image.height, digest_of(image.pixels));
  };
  for (const Media& each : sample.media) std::ranges::for_each(each.frames, add);
  if (sample.media.empty()) std::ranges::for_each(sample.frames, add);
  if (sample.media.empty() && sample.frames.empty() && !sample.picture.pixels.empty()) add(sample.picture);
  if (!content.empty()) return content;
  for (const text::Message& message : sample.messages) content += message.role + ":" + message.content + "\n";
  for (const int32_t id : sample.tokens) content += fmt::format("{} ", id);
  return content;
}

class HeldOut : public ::testing::Test {
 protected:
  /// Tiles on which some of the ground is seen, each of a colour of its own but for two that are alike.
  std::string atlas() const {
    std::vector<Emoji> emoji;
    std::vector<std::string> pngs;
    for (int i = 0; i < 32; ++i) {
      Image tile(8, 8, 4, 255);
      for (size_t at = 0; at < tile.pixels.size(); at += 4) {
        tile.pixels[at] = static_cast<uint8_t>(7 * std::min(i, 30));
        if (at < 64) tile.pixels[at + 3] = 0;  // the ground is seen
      }
      const std::string name =
          i < 3 ? std::vector{"red", "green", "blue"}[static_cast<size_t>(i)] + std::string(" circle")
                : fmt::format("thing {}", i);
      emoji.push_back({.text = std::to_string(i), .name = name, .keywords = {"thing"}});
      pngs.push_back(media::encode_png(tile));
    }
    write_atlas(EmojiWorld(std::move(emoji), std::move(pngs), "tiles"), scratch_ / "tiles.atlas");
    return (scratch_ / "tiles.atlas").string();
  }
  EmojiOptions emoji(const std::string& kind, const std::string& ground, double share = 0.1) const {
    return {
        .kind = kind, .size = 32, .seed = 4, .ground = ground, .frames = 4, .atlas = atlas(), .heldout_share = share};
  }
  /// Every third row is there twice, once with other spaces.
  ChatOptions chat(double share = 0.2) const {
    std::string rows;
    for (int i = 0; i < 40; ++i) {
      const std::string say =
          fmt::format(R"([{{"role":"user","content":"{}"}},{{"role":"assistant","content":"yes"}}])", i);
      rows += "{\"messages\":" + say + "}\n";
      if (i % 3 == 0) rows += "{ \"messages\" :  " + say + " }\n";
    }
    write_file_atomically(scratch_ / "rows.jsonl", rows);
    return {.path = (scratch_ / "rows.jsonl").string(), .heldout_share = share};
  }
  /// Every third picture has two captions.
  FolderOptions folder(double share = 0.2) const {
    std::string rows;
    std::filesystem::create_directories(scratch_ / "pictures");
    for (int i = 0; i < 20; ++i) {
      const std::string name = fmt::format("{}.png", i);
      media::write_png(scratch_ / "pictures" / name, Image(9, 9, 3, static_cast<uint8_t>(10 * i)));
      for (int times = 0; times < (i % 3 == 0 ? 2 : 1); ++times)
        rows += fmt::format("{{\"file\": \"{}\", \"caption\": \"picture {} {}\"}}\n", name, i, times);
    }
    write_file_atomically(scratch_ / "pictures/captions.jsonl", rows);
    return {.path = (scratch_ / "pictures").string(), .size = 8, .heldout_share = share};
  }
  /// Two books and a copy of the second under another name.
  TextFolderOptions text(const std::string& heldout) const {
    std::filesystem::create_directories(scratch_ / "books");
    testing::write_byte_tokenizer(scratch_ / "tokenizer");
    std::string words[2];
    for (int i = 0; i < 200; ++i) {
      words[0] += static_cast<char>('A' + mix64(static_cast<uint64_t>(i)) % 26);
      words[1] += static_cast<char>('a' + mix64(static_cast<uint64_t>(i)) % 26);
    }
    write_file_atomically(scratch_ / "books/one.txt", words[0]);
    for (const char* name : {"books/two.txt", "books/copy.txt"}) write_file_atomically(scratch_ / name, words[1]);
    return {.path = (scratch_ / "books").string(),
            .tokenizer = (scratch_ / "tokenizer").string(),
            .length = 6,
            .heldout = {heldout},
            .heldout_share = 0.1,
            .cache = "off"};
  }

  std::vector<std::pair<std::string, DataConfig>> every_source() const {
    std::vector<std::pair<std::string, DataConfig>> all = {
        {"sprites on white", {.kind = "emoji", .emoji = emoji("sprite", "white")}},
        {"sprites on colours", {.kind = "emoji", .emoji = emoji("sprite", "pastel")}},
        {"scenes", {.kind = "emoji", .emoji = emoji("scene", "pastel")}},
        {"scenes on white", {.kind = "emoji", .emoji = emoji("scene", "white", 0.02)}},
        {"clips", {.kind = "emoji", .emoji = emoji("clip", "pastel")}},
        {"talk of sprites", {.kind = "talk", .talk = {.emoji = emoji("sprite", "pastel")}}},
        {"talk of scenes", {.kind = "talk", .talk = {.emoji = emoji("scene", "pastel")}}},
        {"talk of clips", {.kind = "talk", .talk = {.emoji = emoji("clip", "pastel")}}},
        {"folder", {.kind = "folder", .folder = folder()}},
        {"text", {.kind = "text", .text = text("two*")}},
        {"chat", {.kind = "chat", .chat = chat()}},
    };
    DataConfig mixture{.kind = "mixture"};
    for (const auto& [name, part] : all) {
      mixture.mixture.push_back({.weight = 1.0 + static_cast<double>(mixture.mixture.size()),
                                 .kind = part.kind,
                                 .emoji = part.emoji,
                                 .talk = part.talk,
                                 .folder = part.folder,
                                 .text = part.text,
                                 .chat = part.chat});
    }
    all.emplace_back("mixture", mixture);
    return all;
  }

  /// Training samples that are also held out.
  static std::vector<std::string> on_both_sides(const SampleSource& source, uint64_t samples) {
    std::set<std::string> held;
    for (const Sample& sample : source.heldout(60)) held.insert(content_of(sample));
    EXPECT_FALSE(held.empty());
    std::vector<std::string> both;
    for (uint64_t i = 0; i < samples; ++i) {
      if (const std::string content = content_of(source.at(i)); held.contains(content)) both.push_back(content);
    }
    return both;
  }

  tessera::testing::ScratchFolder scratch_{tessera::testing::ScratchFolder::On::memory};
};

TEST_F(HeldOut, SamplesAreNeverAmongThoseThatTrainInSeveralPasses) {
  for (const auto& [name, config] : every_source()) {
    const auto source = make_source(config);
    const uint64_t passes = source->pass_length() ? 3 * *source->pass_length() : 600;
    EXPECT_THAT(on_both_sides(*source, passes), ::testing::IsEmpty()) << name;
  }
}

TEST_F(HeldOut, SamplesAreNeverAmongASubsetOrASelectionOfThoseThatTrain) {
  std::string numbers;
  for (int i = 0; i < 20; ++i) numbers += fmt::format("{}\n", i);
  write_file_atomically(scratch_ / "numbers", numbers);
  for (auto [name, config] : every_source()) {
    DataConfig some = config, listed = config;
    some.samples = 15;
    listed.only = (scratch_ / "numbers").string();
    EXPECT_THAT(on_both_sides(*make_source(some), 45), ::testing::IsEmpty()) << name;
    EXPECT_THAT(on_both_sides(*make_source(listed), 60), ::testing::IsEmpty()) << name;
  }
}

TEST_F(HeldOut, AnotherSeedNeverTrainsOnThemEither) {
  for (const char* kind : {"sprite", "scene", "clip"}) {
    EmojiOptions other = emoji(kind, "pastel");
    other.seed = 5;
    std::set<std::string> held;
    for (const Sample& sample : make_emoji_source(emoji(kind, "pastel"))->heldout(60)) held.insert(content_of(sample));
    const auto source = make_emoji_source(other);
    for (uint64_t i = 0; i < 300; ++i) EXPECT_FALSE(held.contains(content_of(source->at(i)))) << kind << " " << i;
  }
}

TEST_F(HeldOut, PartsOfAMixtureDoNotTrainOnWhatAnotherPartHoldsOut) {
  DataConfig mixed{.kind = "mixture"};
  mixed.mixture = {{.kind = "chat", .chat = chat(0.3)},
                   {.kind = "chat", .chat = chat(0)},
                   {.kind = "emoji", .emoji = emoji("sprite", "white", 0.3)},
                   {.kind = "emoji", .emoji = emoji("sprite", "white", 0)}};
  EXPECT_THAT(on_both_sides(*make_source(mixed), 500), ::testing::IsEmpty());
}

TEST_F(HeldOut, NothingIsHeldOutAndNoSampleChangesUntilAShareIsNamed) {
  for (const char* kind : {"sprite", "scene", "clip"}) {
    const auto none = make_emoji_source(emoji(kind, "pastel", 0)),
               some = make_emoji_source(emoji(kind, "pastel", 0.02));
    EXPECT_TRUE(none->heldout(10).empty()) << kind;
    int same = 0;
    for (uint64_t i = 0; i < 200; ++i) same += content_of(none->at(i)) == content_of(some->at(i));
    EXPECT_GE(same, 185) << kind << ": only samples that are held out are drawn again";
    EXPECT_LT(same, 200) << kind;
  }
}

TEST_F(HeldOut, AreAsManyAsAskedForWhereTheSourceIsEndless) {
  for (const char* kind : {"sprite", "scene", "clip"})
    EXPECT_EQ(make_emoji_source(emoji(kind, "pastel"))->heldout(33).size(), 33u) << kind;
}

TEST(HeldOutRows, LikeRowsAreOnOneSideAndOneRowTrains) {
  const std::vector<bool> held = held_out_rows({1, 2, 3, 4, 1, 2, 3, 4}, 0.3, 7, "[x]");
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(held[i], held[i + 4]);
  EXPECT_GE(std::ranges::count(held, true), 2);
  EXPECT_LT(std::ranges::count(held, true), 8);
  EXPECT_EQ(std::ranges::count(held_out_rows({1, 2, 3}, 0.01, 7, "[x]"), true), 1);
  EXPECT_EQ(std::ranges::count(held_out_rows({1, 2, 3}, 0, 7, "[x]"), true), 0);
  EXPECT_THROW(held_out_rows({5, 5}, 0.1, 7, "[x]"), UserError);
}

TEST_F(HeldOut, ARecipeThatNamesNoShareGetsOneAndOneThatDoesKeepsIt) {
  DataConfig named{.kind = "chat", .chat = chat(0.3)}, rows{.kind = "chat", .chat = chat(0)};
  hold_out(named, 0.02);
  hold_out(rows, 0.02);
  EXPECT_EQ(named.chat.heldout_share, 0.3);
  EXPECT_EQ(rows.chat.heldout_share, 0.02);
  DataConfig mixed{.kind = "mixture"};
  mixed.mixture = {{.kind = "emoji", .emoji = emoji("sprite", "white", 0)},
                   {.kind = "talk", .talk = {.emoji = emoji("scene", "white", 0)}}};
  hold_out(mixed, 0.02);
  EXPECT_EQ(mixed.mixture[0].emoji.heldout_share, 0) << "every name is learnt";
  EXPECT_EQ(mixed.mixture[1].talk.emoji.heldout_share, 0.02);
}

TEST_F(HeldOut, WhereNothingIsHeldOutTheFirstOfAPassAreMeasured) {
  const auto none = make_source({.kind = "folder", .folder = folder(0)});
  const std::vector<Sample> samples = samples_to_measure(*none, 5);
  ASSERT_EQ(samples.size(), 5u);
  for (uint64_t i = 0; i < 5; ++i) EXPECT_EQ(samples[i].caption, none->at(i).caption);
  const auto some = make_source({.kind = "folder", .folder = folder()});
  EXPECT_EQ(samples_to_measure(*some, 50).size(), some->heldout(50).size());
}

}  // namespace
}  // namespace tessera::data
