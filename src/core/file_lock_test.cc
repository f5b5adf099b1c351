// One holder at a time, named; a lock ends with its holder, also with one that was killed.
#include "core/file_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "core/error.h"

namespace tessera {
namespace {

Path lock_path() {
  const Path path = Path(::testing::TempDir()) / "file_lock_test";
  std::filesystem::remove(path);
  return path;
}

TEST(FileLock, RefusesASecondHolderAndNamesTheFirst) {
  const Path path = lock_path();
  const FileLock first(path, "train", "runs/a");
  EXPECT_THAT([&] { FileLock(path, "train", "runs/a"); },
              ::testing::ThrowsMessage<UserError>(
                  ::testing::HasSubstr(fmt::format("[train] runs/a is in use by process {} on ", ::getpid()))));
}

TEST(FileLock, LeavesNothingBehindAndCanBeTakenAgain) {
  const Path path = lock_path();
  { const FileLock first(path, "train", "runs/a"); }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_NO_THROW(FileLock(path, "train", "runs/a"));
}

TEST(FileLock, EndsWithAProcessThatWasKilled) {
  const Path path = lock_path();
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FileLock held(path, "train", "runs/a");
    [[maybe_unused]] const ssize_t told = ::write(ready[1], "x", 1);
    ::pause();
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_THROW(FileLock(path, "train", "runs/a"), UserError);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(std::filesystem::exists(path)) << "it had no time to remove it";
  EXPECT_NO_THROW(FileLock(path, "train", "runs/a"));
}

}  // namespace
}  // namespace tessera
