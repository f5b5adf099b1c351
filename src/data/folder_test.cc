// Folders of people's own pictures: what is read, and the errors.
#include "data/folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "data/source.h"
#include "media/png.h"

namespace tessera::data {
namespace {

class Folder : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = Path(::testing::TempDir()) /
            ("folder_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    for (const char* name : {"a.png", "b.png", "c.png"})
      media::write_png(root_ / name, Image(20, 10, 3, static_cast<uint8_t>(name[0])));
  }
  void captions(const std::string& text) { write_file_atomically(root_ / "captions.jsonl", text); }
  std::string error() const {
    try {
      FolderSource(FolderOptions{.path = root_.string(), .size = 8}).at(0);
    } catch (const UserError& fault) {
      return fault.what();
    }
    return "accepted";
  }
  Path root_;
};

TEST_F(Folder, EveryPassShowsEachPictureOnceAsASquare) {
  captions(
      "{\"file\": \"a.png\", \"caption\": \"A\"}\n\n{\"file\": \"b.png\", \"caption\": \"B\"}\r\n{\"file\": \"c.png\", "
      "\"caption\": \"C\"}");
  const FolderSource source({.path = root_.string(), .size = 8});
  ASSERT_EQ(source.pass_length(), 3u);
  for (uint64_t pass = 0; pass < 4; ++pass) {
    std::set<std::string> seen;
    for (uint64_t i = 0; i < 3; ++i) {
      const Sample sample = source.at(pass * 3 + i);
      seen.insert(sample.caption);
      EXPECT_EQ(sample.picture, Image(8, 8, 3, static_cast<uint8_t>(sample.caption[0] - 'A' + 'a')));
    }
    EXPECT_EQ(seen.size(), 3u);
  }
}

TEST_F(Folder, KnowsItsLongestCaptionAlsoBehindOtherSources) {
  captions(
      "{\"file\": \"a.png\", \"caption\": \"five!\"}\n{\"file\": \"b.png\", \"caption\": \"sixteen letters..\"}\n");
  DataConfig config{.kind = "folder"};
  config.folder = {.path = root_.string(), .size = 8, .heldout_share = 0.5};
  EXPECT_EQ(make_source(config)->longest_caption(), 17u);
  config.samples = 1;
  EXPECT_EQ(make_source(config)->longest_caption(), 17u);
  DataConfig mixed{.kind = "mixture"};
  mixed.mixture = {{.kind = "folder", .folder = config.folder}};
  EXPECT_EQ(make_source(mixed)->longest_caption(), 17u);
}

TEST_F(Folder, AnUnknownKindIsToldWhichThereAre) {
  EXPECT_THAT(
      [] { make_source({.kind = "foldr"}); },
      ::testing::ThrowsMessage<UserError>(::testing::HasSubstr(
          "unknown kind of data 'foldr'; did you mean 'folder'? There are emoji, talk, folder, text, chat, mixture")));
}

TEST_F(Folder, TextFilesOfTheSameNameAreCaptions) {
  write_file_atomically(root_ / "b.txt", "a grey box\n");
  const FolderSource source({.path = root_.string(), .size = 8});
  EXPECT_EQ(source.pass_length(), 1u);
  EXPECT_EQ(source.at(0).caption, "a grey box");
}

TEST_F(Folder, ErrorsNameFileAndLine) {
  EXPECT_THAT(error(), ::testing::HasSubstr("holds no captioned picture"));
  captions("{\"file\": \"a.png\", \"caption\": \"A\"}\nnot json\n");
  EXPECT_THAT(error(), ::testing::HasSubstr("captions.jsonl line 2"));
  captions("{\"file\": \"zzz.png\", \"caption\": \"A\"}\n");
  EXPECT_THAT(error(), ::testing::AllOf(::testing::HasSubstr("line 1"), ::testing::HasSubstr("zzz.png")));
  captions("{\"file\": \"a.png\"}\n");
  EXPECT_THAT(error(), ::testing::HasSubstr("line 1"));
}

TEST_F(Folder, ADamagedPictureIsNamed) {
  captions("{\"file\": \"a.png\", \"caption\": \"A\"}\n");
  write_file_atomically(root_ / "a.png", read_file(root_ / "a.png").substr(0, 50));
  EXPECT_THAT(error(), ::testing::HasSubstr("a.png"));
}

}  // namespace
}  // namespace tessera::data
