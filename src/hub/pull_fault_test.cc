// `pull` on a disk that fails at every operation in turn, fills up, or loses power: what has a name is whole, and the
// next call ends what was begun.
#include <gtest/gtest.h>

#include "core/error.h"
#include "hub/testing.h"
#include "tests/faults/faulty_files.h"

namespace tessera::hub {
namespace {

using testing::FaultyFiles;

namespace fs = std::filesystem;

/// Every file with a final name holds what that name promises; a revision's name stands for all of its files.
void expect_whole_or_absent(const FakePull& pull, int64_t at) {
  for (const auto& [path, file] : pull.hub.files) {
    const Path blob = pull.blob(path), link = pull.snapshot() / path;
    if (fs::exists(blob)) {
      EXPECT_EQ(read_file(blob), file.bytes) << path << " at operation " << at;
    }
    if (fs::is_symlink(link)) {
      EXPECT_EQ(read_file(link), file.bytes) << path << " at operation " << at;
    }
    if (fs::exists(pull.folder() / "refs/main")) {
      EXPECT_TRUE(fs::exists(link)) << path << " at operation " << at;
    }
  }
}

void expect_the_next_pull_ends_it(FakePull& pull) {
  pull.options.files = &disk();
  pull.run();
  for (const auto& [path, file] : pull.hub.files) EXPECT_EQ(read_file(pull.snapshot() / path), file.bytes) << path;
}

int64_t operations_of_a_pull() {
  FakePull pull;
  FaultyFiles files(pull.cache.path());
  pull.options.files = &files;
  pull.run();
  return files.operations();
}

TEST(PullFault, WhateverOperationFailsWhatHasANameIsWhole) {
  const int64_t operations = operations_of_a_pull();
  ASSERT_GT(operations, 20);
  for (int64_t at = 0; at < operations; ++at) {
    FakePull pull;
    FaultyFiles files(pull.cache.path(), {.fail_at = at});
    pull.options.files = &files;
    EXPECT_THROW(pull.run(), FaultError) << at;
    expect_whole_or_absent(pull, at);
    expect_the_next_pull_ends_it(pull);
  }
}

TEST(PullFault, AFullDiskLeavesNoFinalName) {
  FakePull pull;
  FaultyFiles files(pull.cache.path(), {.capacity = 20'000});
  pull.options.files = &files;
  EXPECT_THROW(pull.run(), FaultError);
  EXPECT_FALSE(fs::exists(pull.blob("model.safetensors")));
  EXPECT_FALSE(fs::exists(pull.snapshot() / "model.safetensors"));
  EXPECT_FALSE(fs::exists(pull.folder() / "refs/main"));
  expect_the_next_pull_ends_it(pull);
}

TEST(PullFault, WhenThePowerFailsWhatHasANameIsWhole) {
  const int64_t operations = operations_of_a_pull();
  for (int64_t at = 0; at < operations; ++at) {
    FakePull pull;
    FaultyFiles files(pull.cache.path(), {.cut_at = at});
    pull.options.files = &files;
    EXPECT_THROW(pull.run(), testing::PowerCut) << at;
    files.crash(testing::Loss::bytes);
    expect_whole_or_absent(pull, at);
    expect_the_next_pull_ends_it(pull);
  }
}

}  // namespace
}  // namespace tessera::hub
