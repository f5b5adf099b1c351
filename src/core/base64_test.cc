// Base64 against the examples of RFC 4648, section 10.
#include "core/base64.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

TEST(Base64, TheExamplesOfTheStandardGoThereAndBack) {
  const std::pair<const char*, const char*> examples[] = {{"", ""},
                                                          {"f", "Zg=="},
                                                          {"fo", "Zm8="},
                                                          {"foo", "Zm9v"},
                                                          {"foob", "Zm9vYg=="},
                                                          {"fooba", "Zm9vYmE="},
                                                          {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : examples) {
    EXPECT_EQ(base64_encoded(bytes), text);
    EXPECT_EQ(base64_decoded(text), bytes);
  }
}

TEST(Base64, EveryByteSurvives) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  EXPECT_EQ(base64_decoded(base64_encoded(bytes)), bytes);
}

TEST(Base64, BothAlphabetsLineBreaksAndMissingPaddingAreRead) {
  EXPECT_EQ(base64_decoded("-_-_"), base64_decoded("+/+/"));
  EXPECT_EQ(base64_decoded("Zm9v\r\nYg==\n"), "foob");
  EXPECT_EQ(base64_decoded("Zg"), "f");
}

TEST(Base64, WhatIsNoBase64GivesNothing) {
  for (const char* text : {"!!!", "Zg=g", "Zm9v YmFy", "Z", "Zm9vY"})
    EXPECT_EQ(base64_decoded(text), std::nullopt) << text;
}

}  // namespace
}  // namespace tessera
