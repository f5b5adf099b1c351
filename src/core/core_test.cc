// Random numbers, files and durations: the laws that everything above relies on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/rng.h"

namespace tessera {
namespace {

Path scratch(const std::string& name) {
  const Path path = Path(::testing::TempDir()) / ("core_test_" + name);
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path;
}

TEST(Rng, IsAFunctionOfSeedStreamAndPosition) {
  Rng a(7, 3), b(7, 3), other_stream(7, 4), other_seed(8, 3);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.next(), b.next());
  EXPECT_NE(Rng(7, 3).next(), other_stream.next());
  EXPECT_NE(Rng(7, 3).next(), other_seed.next());
}

TEST(Rng, ASplitDoesNotDependOnEarlierDraws) {
  Rng fresh(5), used(5);
  for (int i = 0; i < 10; ++i) used.next();
  EXPECT_EQ(fresh.split(2).next(), used.split(2).next());
  EXPECT_NE(fresh.split(2).next(), fresh.split(3).next());
}

TEST(Rng, IsUniform) {
  Rng rng(11);
  std::vector<int> cells(10, 0);
  double sum = 0;
  for (int i = 0; i < 100000; ++i) {
    const double value = rng.uniform();
    ASSERT_TRUE(value >= 0 && value < 1);
    sum += value;
    ++cells[rng.below(10)];
  }
  EXPECT_NEAR(sum / 100000, 0.5, 0.005);
  for (const int count : cells) EXPECT_NEAR(count, 10000, 500);  // five deviations
}

TEST(Files, AnAtomicWriteReplacesTheWholeFileAndLeavesNoTemporaryFile) {
  const Path folder = scratch("atomic");
  write_file_atomically(folder / "a", "first, which is longer");
  write_file_atomically(folder / "a", "second");
  EXPECT_EQ(read_file(folder / "a"), "second");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

TEST(Files, ALinkStaysALinkAndItsTargetIsReplaced) {
  const Path folder = scratch("links");
  std::filesystem::create_directories(folder / "far");
  std::filesystem::create_symlink("far/new.txt", folder / "one.txt");
  std::filesystem::create_symlink(folder / "one.txt", folder / "two.txt");
  for (const char* text : {"created", "replaced"}) {
    write_file_atomically(folder / "two.txt", text);
    EXPECT_EQ(read_file(folder / "far" / "new.txt"), text);
  }
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "one.txt"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "two.txt"));
}

TEST(Files, CheckingALinkLeavesItAsItIs) {
  const Path folder = scratch("checked_links");
  std::filesystem::create_symlink("nowhere.txt", folder / "dangling");
  std::filesystem::create_symlink("loop", folder / "loop");
  require_writable(folder / "dangling", "test");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "dangling"));
  EXPECT_FALSE(std::filesystem::exists(folder / "nowhere.txt"));
  EXPECT_THAT([&] { require_writable(folder / "loop", "test"); },
              ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("Too many levels of symbolic links")));
}

TEST(Files, PipesAndDevicesAreWrittenIntoAndStay) {
  const Path pipe = scratch("pipes") / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  require_writable(pipe, "test");  // without a reader, which it does not wait for
  std::string got;
  std::thread reader([&] {
    std::ifstream in(pipe);
    got.assign(std::istreambuf_iterator<char>(in), {});
  });
  write_file_atomically(pipe, "through the pipe");
  reader.join();
  EXPECT_EQ(got, "through the pipe");
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  write_file_atomically("/dev/null", "nothing");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  EXPECT_THAT([] { write_file_atomically("/dev/full", "too much"); },
              ::testing::ThrowsMessage<FaultError>(::testing::HasSubstr("No space left")));
}

TEST(Files, UnreadableAndUnwritablePathsAreUserErrors) {
  const Path folder = scratch("refused");
  EXPECT_THROW(read_file(folder / "missing"), UserError);
  EXPECT_THROW(read_file(folder), UserError);
  EXPECT_THROW(require_writable(folder, "test"), UserError) << "a directory stands there";
  write_file_atomically(folder / "file", "");
  EXPECT_THROW(require_writable(folder / "file" / "below", "test"), UserError) << "a file is no folder";
  EXPECT_EQ(read_file(folder / "file"), "") << "an empty file is a file";
}

TEST(Files, OfAKindAreFoundInAllFoldersInTheOrderOfTheirPaths) {
  const Path folder = scratch("find_files");
  std::filesystem::create_directories(folder / "b/deep");
  for (const char* name : {"c.txt", "a.TXT", "b/z.txt", "b/deep/y.txt", "notes.md", "txt", "d.txt.png"})
    write_file_atomically(folder / name, "x");
  std::vector<std::string> names;
  for (const Path& file : find_files(folder, {".txt"}, "test"))
    names.push_back(file.lexically_relative(folder).string());
  EXPECT_EQ(names, (std::vector<std::string>{"a.TXT", "b/deep/y.txt", "b/z.txt", "c.txt"}));
  EXPECT_EQ(find_files(folder / "notes.md", {".txt"}, "test"), std::vector<Path>{folder / "notes.md"});
  EXPECT_THROW(find_files(folder, {".gif", ".jpg"}, "test"), UserError);
  EXPECT_THROW(find_files(folder / "absent", {".txt"}, "test"), UserError);
}

TEST(Files, CheckingThatAFileCanBeWrittenLeavesNoFile) {
  const Path folder = scratch("trace");
  require_writable(folder / "new.png", "test");
  EXPECT_FALSE(std::filesystem::exists(folder / "new.png"));
}

TEST(Duration, IsWrittenInHoursMinutesAndSeconds) {
  EXPECT_EQ(format_duration(3.9), "3s");
  EXPECT_EQ(format_duration(65), "1m05s");
  EXPECT_EQ(format_duration(3720), "1h02m");
  EXPECT_EQ(format_duration(-1), "0s");
}

}  // namespace
}  // namespace tessera
