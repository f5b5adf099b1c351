// Pages that are given back: what was read stays readable, and other memory is left alone.

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "core/files.h"
#include "tests/support/scratch.h"

namespace tessera {
namespace {

constexpr size_t length = size_t{8} << 20;

/// Kilobytes of mapped files in this process's memory, as Linux counts them; -1 elsewhere.
int64_t mapped_kilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kilobytes = 0;
    if (word == "RssFile:" && status >> kilobytes) return kilobytes;
  }
  return -1;
}

TEST(ReleasedPages, NoLongerCountAsMemoryAndAreReadAgainWhenNeeded) {
  const tessera::testing::ScratchFolder scratch;
  std::string content(length, 'a');
  content.back() = 'z';
  write_file_atomically(scratch / "file", content);
  const MappedFile file(scratch / "file");
  EXPECT_EQ(file.bytes(), content);
  const int64_t before = mapped_kilobytes();
  release_pages(file.bytes());
  if (before >= 0) {
    EXPECT_LT(mapped_kilobytes(), before - 7 * 1024);
  }
  EXPECT_EQ(file.bytes(), content);
}

TEST(ReleasedPages, OfPartOfAFileLeaveItsNeighboursAndOtherMemoryAlone) {
  const tessera::testing::ScratchFolder scratch;
  std::string content(length, 'b');
  write_file_atomically(scratch / "file", content);
  const MappedFile file(scratch / "file");
  release_pages(file.bytes().substr(5000, 100));
  release_pages(file.bytes().substr(length - 10));
  release_pages(content);
  release_pages({});
  EXPECT_EQ(content, std::string(length, 'b'));
  EXPECT_EQ(file.bytes(), content);
}

}  // namespace
}  // namespace tessera
