// Streams that pyarrow wrote are read as it wrote them; every damaged one is read or refused.
#include "eval/arrow_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files.h"
#include "eval/testing_gzip.h"

namespace tessera::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal;

std::string fixture(const std::string& name) {
  return read_file(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/mmlu" / name / "data-00000-of-00001.arrow");
}

TEST(ArrowStream, TextsListsAndNumbersAreReadAsPyarrowWroteThem) {
  const ArrowTable table = parse_arrow_stream(fixture("abstract_algebra/dev"), "dev");
  ASSERT_EQ(table.rows, 5);
  EXPECT_EQ(std::get<ArrowTexts>(table.columns.at("question"))[4], " What is 4 of dev? ");
  EXPECT_THAT(std::get<ArrowTextLists>(table.columns.at("choices"))[2],
              ElementsAre("abstract_algebra \xC3\xA9 2", "two words", "x", "2"));
  EXPECT_THAT(std::get<ArrowIntegers>(table.columns.at("answer")), ElementsAre(1, 2, 3, 0, 1));
}

TEST(ArrowStream, RecordBatchesFollowEachOther) {
  const ArrowTable table = parse_arrow_stream(fixture("world_religions/test"), "test");
  EXPECT_EQ(table.rows, 6);
  EXPECT_THAT(std::get<ArrowIntegers>(table.columns.at("answer")), ElementsAre(1, 2, 3, 1, 2, 3));
}

TEST(ArrowStream, ATruncatedStreamIsRefusedUnlessOnlyItsEndMarkIsMissing) {
  const std::string whole = fixture("abstract_algebra/test");
  int accepted = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    accepted += refusal([&] { parse_arrow_stream(whole.substr(0, size), "cut"); }) == "accepted";
  }
  EXPECT_EQ(accepted, 2) << "after the schema and after the record batch";
}

TEST(ArrowStream, WhatIsNoStreamIsSaidToBeNone) {
  EXPECT_THAT(refusal([] { parse_arrow_stream("", "f"); }), HasSubstr("[eval] f: is no Arrow stream"));
  EXPECT_THAT(refusal([] { parse_arrow_stream("PAR1 is another format", "f"); }), HasSubstr("is no Arrow stream"));
  EXPECT_THAT(refusal([] { parse_arrow_stream("\xff\xff\xff\xff\xff\xff\xff\x7f", "f"); }),
              HasSubstr("ends in the middle of a header"));
}

TEST(ArrowStream, EveryFlippedBitIsReadOrRefusedInOneLine) {
  const std::string whole = fixture("abstract_algebra/test");
  int refused = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      const std::string said = refusal([&] { parse_arrow_stream(damaged, "f"); });
      if (said == "accepted") continue;
      ++refused;
      EXPECT_TRUE(said.starts_with("[eval] f: ")) << said;
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace tessera::eval
