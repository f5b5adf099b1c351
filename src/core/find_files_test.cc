// One rule for every folder that people give: hidden files, links and folders that cannot be read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files.h"
#include "tests/support/scratch.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;

class FindFiles : public ::testing::Test {
 protected:
  void put(const std::string& name) const {
    std::filesystem::create_directories((scratch_ / name).parent_path());
    write_file_atomically(scratch_ / name, "words");
  }
  std::vector<std::string> names(const Path& where) const {
    std::vector<std::string> found;
    for (const Path& file : find_files(where, {".txt"}, "test"))
      found.push_back(file.lexically_relative(where).generic_string());
    return found;
  }
  tessera::testing::ScratchFolder scratch_{tessera::testing::ScratchFolder::On::memory};
};

TEST_F(FindFiles, HiddenFilesAndFoldersAreLeftOutButNotTheFolderThatIsNamed) {
  for (const char* name : {"a.txt", "._a.txt", ".git/notes.txt", ".kept/b.txt"}) put(name);
  EXPECT_THAT(names(scratch_.path()), ElementsAre("a.txt"));
  EXPECT_THAT(names(scratch_ / ".kept"), ElementsAre("b.txt"));
}

TEST_F(FindFiles, LinksToFilesAreFollowedAndLinksToFoldersAreNot) {
  put("real/a.txt");
  put("elsewhere/b.txt");
  std::filesystem::create_symlink(scratch_ / "elsewhere/b.txt", scratch_ / "real/b.txt");
  std::filesystem::create_symlink(scratch_ / "nowhere.txt", scratch_ / "real/broken.txt");
  std::filesystem::create_directory_symlink(scratch_ / "real", scratch_ / "real/loop");
  EXPECT_THAT(names(scratch_ / "real"), ElementsAre("a.txt", "b.txt"));
}

}  // namespace
}  // namespace tessera
