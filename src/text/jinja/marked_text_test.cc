// Marks survive every operation on text.
#include "text/jinja/marked_text.h"

#include <gmock/gmock.h>

namespace tessera::text::jinja {
namespace {

constexpr Origin typed{.source = 3};

/// Characters of the template as they are, typed ones in upper case.
std::string shown(const MarkedText& text) {
  std::string bytes = text.bytes();
  size_t begin = 0;
  for (const Run& run : text.runs()) {
    for (; begin < run.end; ++begin) {
      if (run.origin == typed) bytes[begin] = static_cast<char>(bytes[begin] - 'a' + 'A');
    }
  }
  return bytes;
}

MarkedText mixed() {
  MarkedText text("ab", {});
  text.append("cd", typed);
  text.append("ef", {});
  return text;
}

TEST(MarkedText, PartsAndSumsKeepWhereTheirCharactersCameFrom) {
  MarkedText twice = mixed();
  twice.append(mixed());
  EXPECT_EQ(shown(twice), "abCDefabCDef");
  EXPECT_EQ(shown(twice.part(1, 9)), "bCDefabC");
  twice.append(twice);
  EXPECT_EQ(shown(twice), "abCDefabCDefabCDefabCDef");
}

TEST(MarkedText, ReplacingKeepsTheMarksOfBothTexts) {
  EXPECT_EQ(shown(replace_all(mixed(), "bc", MarkedText("xy", typed), -1)), "aXYDef");
  EXPECT_EQ(shown(replace_all(mixed(), "d", MarkedText("z", {}), -1)), "abCzef");
  EXPECT_EQ(shown(replace_all(MarkedText("ab", typed), "", MarkedText("x", {}), -1)), "xAxBx");
}

TEST(MarkedText, SplittingAndStrippingKeepTheMarks) {
  const auto parts = split_at(mixed(), "c", -1, false);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(shown(parts[0]), "ab");
  EXPECT_EQ(shown(parts[1]), "Def");
  const std::string characters = "abf";
  EXPECT_EQ(shown(strip(mixed(), &characters, true, true)), "CDe");
}

TEST(MarkedText, ChangingTheCaseKeepsTheMarksAlsoWhereTheLengthChanges) {
  MarkedText text("ß", {});
  text.append("a", typed);
  const MarkedText upper = change_case(text, Case::upper);
  EXPECT_EQ(upper.bytes(), "SSA");
  ASSERT_EQ(upper.runs().size(), 2u);
  EXPECT_EQ(upper.runs()[0].end, 2u);
}

TEST(MarkedText, AnAnchorMarksWhereAnEmptyTextStands) {
  MarkedText text("a", {});
  text.append(strip(MarkedText::anchored("  ", typed), nullptr, true, true));
  text.append("b", {});
  EXPECT_EQ(text.bytes(), "ab");
  ASSERT_EQ(text.runs().size(), 3u);
  EXPECT_EQ(text.runs()[1].end, 1u);
  EXPECT_TRUE(text.runs()[1].origin == typed);
}

}  // namespace
}  // namespace tessera::text::jinja
