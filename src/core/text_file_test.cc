// One text, whatever program wrote it: line ends, marks and what is no character.
#include "core/text_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/placeholder.h"
#include "core/utf8.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string words(std::string_view bytes) { return decode_text(bytes, "a.txt", "test").words; }

std::string refusal(std::string_view bytes) {
  try {
    words(bytes);
  } catch (const UserError& error) {
    return error.what();
  }
  return "read";
}

/// The units of a UTF-16 text as bytes, after a byte order mark.
std::string utf16(std::u16string_view text, bool big) {
  std::string bytes = big ? "\xFE\xFF" : "\xFF\xFE";
  for (const char16_t unit : text) {
    const char high = static_cast<char>(unit >> 8), low = static_cast<char>(unit & 0xFF);
    bytes += big ? high : low;
    bytes += big ? low : high;
  }
  return bytes;
}

TEST(TextFile, LineEndsOfAllSystemsAreOne) {
  for (const char* text : {"a\nb\n\nc\n", "a\r\nb\r\n\r\nc\r\n", "a\rb\r\rc\r", "a\rb\r\n\nc\n"})
    EXPECT_EQ(words(text), "a\nb\n\nc\n");
  EXPECT_EQ(words("a\n\rb"), "a\n\nb");
  EXPECT_EQ(words(""), "");
}

TEST(TextFile, AByteOrderMarkIsNoPartOfTheText) {
  EXPECT_EQ(words("\xEF\xBB\xBFone"), "one");
  EXPECT_EQ(words("\xEF\xBB\xBF"), "");
  EXPECT_EQ(words("one\xEF\xBB\xBF"), "one\xEF\xBB\xBF") << "elsewhere it is a character";
}

TEST(TextFile, Utf16WithAMarkIsReadAsTheSameText) {
  for (const bool big : {false, true})
    EXPECT_EQ(words(utf16(u"Gr\u00FC\u00DFe, \u20AC\r\n\U0001F600", big)),
              "Gr\xC3\xBC\xC3\x9F"
              "e, \xE2\x82\xAC\n\xF0\x9F\x98\x80");
  const char16_t halves[] = {u'a', 0xD83D, u'b', 0xDE00, 0xD83D};
  const DecodedText text = decode_text(utf16({halves, 5}, false) + "x", "a.txt", "test");
  EXPECT_EQ(text.words, "a\uFFFDb\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(text.broken, 4) << "three halves of pairs and an odd byte";
}

TEST(TextFile, ZeroBytesAndUtf32AreRefused) {
  EXPECT_THAT(refusal(std::string_view("ab\0c", 4)), HasSubstr("a.txt is not UTF-8 text: byte 3 is zero"));
  EXPECT_THAT(refusal(std::string_view("\xFF\xFE"
                                       "a\0\0\0",
                                       6)),
              HasSubstr("is zero"));
  EXPECT_THAT(refusal(std::string_view("\xFF\xFE\0\0a\0\0\0", 8)), HasSubstr("a.txt is UTF-32"));
  EXPECT_THAT(refusal(std::string_view("\0\0\xFE\xFF\0\0\0a", 8)), HasSubstr("a.txt is UTF-32"));
}

TEST(TextFile, BrokenCharactersAreReplacedAndCounted) {
  const DecodedText text = decode_text(
      "a\xFF"
      "b\xC3",
      "a.txt", "test");
  EXPECT_EQ(text.words, "a\uFFFDb\uFFFD");
  EXPECT_EQ(text.broken, 2);
  EXPECT_EQ(broken_parts("plain, \xC3\xA9, \xE2\x82\xAC, \xF0\x9F\x98\x80"), 0);
  EXPECT_EQ(broken_parts("\xED\xA0\x80"), 3) << "a surrogate";
  EXPECT_EQ(broken_parts("\xC0\xAF\xE0\x80\x80"), 5) << "overlong";
}

TEST(TextFile, LinesComeWithoutBlankOnesAndEnds) {
  const Path file = Path(::testing::TempDir()) / "text_file_lines.txt";
  write_file_atomically(file, "\xEF\xBB\xBFred apple\r\n \t\r\n  pear\rblue");
  EXPECT_THAT(read_text_lines(file, "test"), ElementsAre("red apple", "  pear", "blue"));
}

TEST(Placeholder, PointersAndWebPagesAreToldAsWhatTheyAre) {
  const auto refusal_of = [](std::string_view bytes) -> std::string {
    try {
      refuse_placeholder(bytes, "model.safetensors", "weights");
    } catch (const UserError& error) {
      return error.what();
    }
    return "taken";
  };
  EXPECT_THAT(refusal_of("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 98362432\n"),
              HasSubstr("model.safetensors is a Git LFS pointer, not the file itself"));
  EXPECT_THAT(refusal_of("\n<!DOCTYPE html><html>"), HasSubstr("is a web page"));
  EXPECT_THAT(refusal_of("<HTML>"), HasSubstr("is a web page"));
  for (const char* bytes : {"", "{}", "GGUF", "<|im_start|>", "version 2"}) EXPECT_EQ(refusal_of(bytes), "taken");
}

TEST(TextFile, ATextIsBlankWhereItHoldsWhiteSpaceAlone) {
  for (const char* text : {"", " ", "\t\r\n", "  \n \n"}) EXPECT_TRUE(is_blank(text)) << text;
  for (const char* text : {"a", " a ", "\n.", "\xC2\xA0"}) EXPECT_FALSE(is_blank(text)) << text;
}

}  // namespace
}  // namespace tessera
