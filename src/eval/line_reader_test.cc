// Lines are the same from plain and from compressed files, and damage is named.
#include "eval/line_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/error.h"
#include "eval/testing_gzip.h"

namespace tessera::eval {
namespace {

using ::testing::ElementsAre;
using testing::gzipped;
using ::testing::HasSubstr;
using testing::refusal;

std::vector<std::string> lines_of(const std::string& bytes) {
  LineReader reader(bytes, "file");
  std::vector<std::string> lines;
  for (std::string line; reader.next(line);) lines.push_back(line + "@" + reader.where());
  return lines;
}

TEST(LineReader, PlainAndCompressedFilesHaveTheSameLines) {
  const std::string text = "one\r\n\n  \ntwo\nthree";
  EXPECT_THAT(lines_of(text), ElementsAre("one@file line 1", "two@file line 4", "three@file line 5"));
  EXPECT_EQ(lines_of(gzipped(text)), lines_of(text));
  EXPECT_THAT(lines_of(""), ElementsAre());
  EXPECT_THAT(lines_of(gzipped("")), ElementsAre());
}

TEST(LineReader, LinesLongerThanItsBufferAreWhole) {
  std::string text;
  for (int i = 0; i < 5; ++i) text.append(100000, static_cast<char>('a' + i)).append("\n");
  EXPECT_EQ(lines_of(gzipped(text)), lines_of(text));
  EXPECT_EQ(lines_of(text).size(), 5u);
}

TEST(LineReader, MembersThatFollowEachOtherAreOneFile) {
  EXPECT_THAT(lines_of(gzipped("one\ntw") + gzipped("o\n")), ElementsAre("one@file line 1", "two@file line 2"));
}

TEST(LineReader, EveryTruncationOfACompressedFileIsRefused) {
  const std::string whole = gzipped("one\ntwo\nthree\n");
  for (size_t size = 2; size < whole.size(); ++size) {
    EXPECT_THAT(refusal([&] { lines_of(whole.substr(0, size)); }), HasSubstr("the compressed data end too early"))
        << size;
  }
}

TEST(LineReader, BrokenCompressionIsNamedWithItsLine) {
  std::string broken = gzipped("one\ntwo\n");
  broken[broken.size() - 6] ^= 1;  // of the check sum
  EXPECT_THAT(refusal([&] { lines_of(broken); }),
              HasSubstr("[eval] file after line 2: the compressed data are broken"));
  EXPECT_THAT(refusal([&] { lines_of(gzipped("one\n") + "rest"); }), HasSubstr("are broken"));
  EXPECT_THAT(refusal([&] { lines_of("\x1f\x8b\x08 no gzip at all, although it begins as one"); }),
              HasSubstr("broken"));
}

TEST(LineReader, ALineWithoutEndIsRefusedBeforeItFillsTheMemory) {
  const std::string bomb = gzipped(std::string(80 << 20, 'a'));
  EXPECT_LT(bomb.size(), 200000u);
  EXPECT_THAT(refusal([&] { lines_of(bomb); }), HasSubstr("file line 1 is longer than 64 MB"));
}

}  // namespace
}  // namespace tessera::eval
