// The faulty disk itself: what is not synced can be lost, what is synced cannot. Without this, the tests that rely on
// it would prove nothing.
#include "tests/faults/faulty_files.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "tests/support/scratch.h"

namespace tessera::testing {
namespace {

namespace fs = std::filesystem;

void put(FileSystem& files, const Path& path, std::string_view bytes, bool sync) {
  const auto file = files.create(path);
  file->append(bytes);
  if (sync) file->sync();
  file->close();
}

TEST(FaultyFiles, BytesThatWereNotSyncedAreLost) {
  const ScratchFolder folder{ScratchFolder::On::memory};
  FaultyFiles files(folder.path());
  put(files, folder / "synced", "abcd", true);
  put(files, folder / "written", "abcd", false);
  files.sync_directory(folder.path());
  files.crash(Loss::everything);
  EXPECT_EQ(read_file(folder / "synced"), "abcd");
  EXPECT_EQ(read_file(folder / "written"), "");
}

TEST(FaultyFiles, NamesAreLostUntilTheirFolderIsSynced) {
  const ScratchFolder folder{ScratchFolder::On::memory};
  FaultyFiles files(folder.path());
  put(files, folder / "old", "1", true);
  files.sync_directory(folder.path());
  put(files, folder / "new", "2", true);
  files.rename(folder / "new", folder / "old");
  EXPECT_EQ(read_file(folder / "old"), "2");
  files.crash(Loss::names);
  EXPECT_EQ(read_file(folder / "old"), "1");
  EXPECT_FALSE(fs::exists(folder / "new"));
}

TEST(FaultyFiles, ARemovalThatWasNotSyncedIsUndone) {
  const ScratchFolder folder{ScratchFolder::On::memory};
  FaultyFiles files(folder.path());
  files.create_directories(folder / "a");
  put(files, folder / "a/file", "x", true);
  files.sync_directory(folder / "a");
  files.sync_directory(folder.path());
  files.remove_all(folder / "a");
  put(files, folder / "a", "a file in its place", true);
  files.crash(Loss::everything);
  EXPECT_EQ(read_file(folder / "a/file"), "x");
}

TEST(FaultyFiles, ARenamedFolderKeepsTheFilesThatItsOwnSyncMadeDurable) {
  const ScratchFolder folder{ScratchFolder::On::memory};
  FaultyFiles files(folder.path());
  files.create_directories(folder / "part");
  put(files, folder / "part/kept", "k", true);
  files.sync_directory(folder / "part");
  put(files, folder / "part/lost", "l", true);
  files.rename(folder / "part", folder / "whole");
  files.sync_directory(folder.path());
  files.crash(Loss::everything);
  EXPECT_TRUE(fs::exists(folder / "whole/kept"));
  EXPECT_FALSE(fs::exists(folder / "whole/lost"));
}

TEST(FaultyFiles, AKilledProcessTearsOnlyTheWriteUnderWay) {
  const ScratchFolder folder{ScratchFolder::On::memory};
  FaultyFiles files(folder.path(), {.cut_at = 2});
  const auto file = files.create(folder / "f");
  file->append("abcd");
  EXPECT_THROW(file->append("efgh"), PowerCut);
  EXPECT_THROW(file->sync(), PowerCut);
  files.crash(Loss::nothing);
  EXPECT_EQ(read_file(folder / "f"), "abcdef");
}

TEST(FaultyFiles, AFullDiskTakesWhatFitsAndRemovalFreesSpace) {
  const ScratchFolder folder{ScratchFolder::On::memory};
  FaultyFiles files(folder.path(), {.capacity = 6});
  put(files, folder / "a", "abcd", true);
  EXPECT_THROW(put(files, folder / "b", "efgh", true), FaultError);
  EXPECT_EQ(read_file(folder / "b"), "ef");
  files.remove_all(folder / "a");
  put(files, folder / "c", "1234", true);
  EXPECT_EQ(read_file(folder / "c"), "1234");
}

/// A faulty writer: no sync before the rename, a common mistake in saves that look atomic.
void write_carelessly(const Path& path, std::string_view bytes, FileSystem& files) {
  put(files, path.string() + ".partial", bytes, false);
  files.rename(path.string() + ".partial", path);
  files.sync_directory(path.parent_path());
}

TEST(FaultyFiles, AWriterThatDoesNotSyncMayLoseItsBytes) {
  std::set<std::string> seen;
  for (const Loss loss : all_losses) {
    for (uint64_t seed = 0; seed < 60; ++seed) {
      const ScratchFolder folder{ScratchFolder::On::memory};
      FaultyFiles files(folder.path());
      write_carelessly(folder / "f", "whole", files);
      files.crash(loss, seed);
      seen.insert(read_file(folder / "f"));
    }
  }
  EXPECT_TRUE(seen.contains("whole"));
  EXPECT_TRUE(seen.contains(""));
  const bool zeros =
      std::any_of(seen.begin(), seen.end(), [](const std::string& each) { return each.ends_with('\0'); });
  EXPECT_TRUE(zeros);  // the size came to the disk, the bytes did not
}

}  // namespace
}  // namespace tessera::testing
