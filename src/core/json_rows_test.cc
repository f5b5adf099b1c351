// Rows that Python writes and no UTF-8 can hold.
#include "core/json_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;

std::string value(std::string_view row, RowRepairs* repairs = nullptr) {
  return parse_json_row(row, "a.jsonl line 3", repairs)["t"].get<std::string>();
}

TEST(JsonRows, HalvesOfPairsBecomeTheReplacementCharacter) {
  EXPECT_EQ(value(R"({"t": "a\ud83db"})"), "a\uFFFDb");
  EXPECT_EQ(value(R"({"t": "\ude00\ud83d\ud83d\ude00\uD83D\n"})"), "\uFFFD\uFFFD\xF0\x9F\x98\x80\uFFFD\n");
  EXPECT_EQ(value(R"({"t": "\ud83d"})"), "\uFFFD");
  EXPECT_EQ(value(R"({"t": "\\ud83d \ud83d"})"), "\\ud83d \uFFFD") << "an escaped backslash begins no escape";
}

TEST(JsonRows, BytesThatAreNoUtf8BecomeTheReplacementCharacter) {
  EXPECT_EQ(value("{\"t\": \"caf\xE9\"}"), "caf\uFFFD");
}

TEST(JsonRows, WhatWasReplacedIsCountedAndTheFirstIsNamed) {
  RowRepairs repairs;
  value(R"({"t": "fine \ud83d\ude00"})", &repairs);
  EXPECT_EQ(repairs.rows, 0);
  value(R"({"t": "\ud83d"})", &repairs);
  value("{\"t\": \"\xE9\"}", &repairs);
  EXPECT_EQ(repairs.rows, 2);
  EXPECT_EQ(repairs.first, "a.jsonl line 3: \\ud83d");
}

TEST(JsonRows, WhatIsNoJsonStaysRefused) {
  for (const char* row : {R"({"t": "\ud83d")", R"({"t": "\ud83"})", R"({"t": "\uZZZZ"})", R"({"t": "\)", "", "{"}) {
    try {
      parse_json_row(row, "a.jsonl line 3");
      FAIL() << row;
    } catch (const UserError& error) {
      EXPECT_THAT(error.what(), HasSubstr("a.jsonl line 3"));
    }
  }
}

}  // namespace
}  // namespace tessera
