// A list of samples replaces the source; an invalid list is a UserError.
#include "data/selected.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "tests/fuzz/mutate.h"

namespace tessera::data {
namespace {

/// Sample i has the caption "i".
class Counting final : public SampleSource {
 public:
  Sample at(uint64_t index) const override { return {.caption = std::to_string(index)}; }
};

TEST(Selected, EveryPassVisitsEachListedSampleOnce) {
  const Path file = Path(::testing::TempDir()) / "selected.txt";
  write_file_atomically(file, "7\n3\n\n12\r\n40\n");
  const Selected some(std::make_unique<Counting>(), file);
  EXPECT_EQ(some.pass_length(), 4u);
  for (uint64_t pass = 0; pass < 5; ++pass) {
    std::set<std::string> seen;
    for (uint64_t i = 0; i < 4; ++i) seen.insert(some.at(4 * pass + i).caption);
    EXPECT_EQ(seen, (std::set<std::string>{"7", "3", "12", "40"}));
  }
  write_file_atomically(file, "7\n3\n12\n41");
  EXPECT_NE(Selected(std::make_unique<Counting>(), file).edition(), some.edition()) << "another list is other data";
}

TEST(Subset, IsTheSameInEveryPassAndAnotherForAnotherSeed) {
  const auto pass_of = [](const SampleSource& source, uint64_t pass) {
    std::vector<std::string> seen;
    for (uint64_t i = 0; i < 8; ++i) seen.push_back(source.at(8 * pass + i).caption);
    return seen;
  };
  const auto numbers = [&](const SampleSource& source, uint64_t pass) {
    const std::vector<std::string> seen = pass_of(source, pass);
    return std::set<std::string>(seen.begin(), seen.end());
  };
  const Path file = Path(::testing::TempDir()) / "few.txt";
  std::string lines;
  for (int i = 0; i < 50; ++i) lines += fmt::format("{}\n", i);
  write_file_atomically(file, lines);
  const auto fifty = [&] { return std::make_unique<Selected>(std::make_unique<Counting>(), file); };
  const Subset some(fifty(), 8, 1), others(fifty(), 8, 2);
  EXPECT_EQ(some.pass_length(), 8u);
  EXPECT_EQ(numbers(some, 0).size(), 8u);
  EXPECT_EQ(numbers(some, 0), numbers(some, 3));
  EXPECT_NE(pass_of(some, 0), pass_of(some, 3)) << "every pass has an order of its own";
  EXPECT_NE(numbers(some, 0), numbers(others, 0));
  EXPECT_EQ(Subset(fifty(), 80, 1).pass_length(), 50u) << "there are no more";
  EXPECT_EQ(numbers(Subset(std::make_unique<Counting>(), 8, 1), 0),
            (std::set<std::string>{"0", "1", "2", "3", "4", "5", "6", "7"}))
      << "an endless source has first ones";
}

TEST(Selected, ALineThatIsNoNumberIsReported) {
  for (const std::string text : {"1\nx\n", "1\n-2\n", "1\n2 3\n", "1\n18446744073709551616\n"}) {
    try {
      parse_sample_numbers(text, "list");
      FAIL() << text;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("list line 2")) << text;
    }
  }
  EXPECT_THROW(parse_sample_numbers("\n\n", "list"), UserError);
}

TEST(Selected, MutatedListsAreReadOrRefusedInOneLine) {
  Rng rng(5);
  for (int i = 0; i < 3000; ++i) {
    try {
      parse_sample_numbers(
          tessera::testing::mutate({"1\n2\n300\n", "99\r\n7"}, {"\n", "-", "18446744073709551615", "\r", "\0"}, rng),
          "list");
    } catch (const UserError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace tessera::data
