// Atlases give back the world they were packed from; damaged ones are refused.
#include "data/atlas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "core/rng.h"
#include "media/png.h"
#include "tensor/safetensors.h"

namespace tessera::data {
namespace {

EmojiWorld small_world() {
  Image red(6, 4, 4, 255), clear(6, 4, 4, 0);
  for (size_t i = 1; i < red.pixels.size(); i += 4) red.pixels[i] = red.pixels[i + 1] = 0;
  std::vector<Emoji> emoji(2);
  emoji[0] = {.text = "R",
              .name = "red thing",
              .group = "G",
              .subgroup = "s",
              .keywords = {"red", "thing"},
              .languages = {{"de", {"rotes Ding", {"rot"}}}}};
  emoji[1] = {.text = "C", .name = "clear thing", .group = "G", .subgroup = "s"};
  return EmojiWorld(std::move(emoji), {media::encode_png(red), media::encode_png(clear)}, "unicode 1, cldr 2, font 3");
}

Path packed(const std::string& name) {
  const Path path = Path(::testing::TempDir()) / ("atlas_test_" + name);
  write_atlas(small_world(), path);
  return path;
}

TEST(Atlas, UnpacksToTheWorldItWasPackedFrom) {
  const EmojiWorld original = small_world();
  const auto read = read_atlas(packed("round_trip"));
  EXPECT_EQ(read->emoji(), original.emoji());
  EXPECT_EQ(read->world(), original.world());
  for (size_t id = 0; id < original.size(); ++id) EXPECT_EQ(read->sprite(id), original.sprite(id));
}

TEST(Atlas, TheSameWorldGivesTheSameBytes) { EXPECT_EQ(read_file(packed("a")), read_file(packed("b"))); }

TEST(Atlas, ALinkStaysOneAndTheFileThatItNamesIsWritten) {
  const Path file = packed("behind"), link = file.string() + "_link";
  std::filesystem::remove(link);
  std::filesystem::create_symlink(file, link);
  write_file_atomically(file, "older");
  write_atlas(small_world(), link);
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(read_file(file), read_file(packed("beside")));
}

TEST(Atlas, ASafetensorsFileThatIsNoAtlasIsRefusedByName) {
  const Path path = Path(::testing::TempDir()) / "atlas_test_other";
  SafetensorsWriter writer;
  const auto out = disk().create(path);
  writer.write(*out);
  out->close();
  try {
    read_atlas(path);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("is no emoji atlas"));
  }
}

TEST(Atlas, DamagedFilesAreRefusedOrDifferOnlyInPixels) {
  const std::string good = read_file(packed("fuzz"));
  const Path path = Path(::testing::TempDir()) / "atlas_test_fuzzed";
  Rng rng(5);
  int refused = 0;
  for (int round = 0; round < 400; ++round) {
    std::string bytes = good;
    if (rng.chance(0.3)) bytes.resize(rng.below(bytes.size()));
    else
      for (uint64_t i = 0, n = 1 + rng.below(4); i < n; ++i)
        bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
    std::ofstream(path, std::ios::binary) << bytes;
    try {
      const auto world = read_atlas(path);
      for (size_t id = 0; id < world->size(); ++id) world->sprite(id);
    } catch (const UserError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 200);
}

}  // namespace
}  // namespace tessera::data
