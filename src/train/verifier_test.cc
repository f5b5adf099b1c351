// Rules and programs that check answers.
#include "train/verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace tessera::train {
namespace {

using ::testing::HasSubstr;

double reward(const std::string& rule, const std::string& answer, const std::string& reference) {
  return make_verifier({.rule = rule})->judge({{"q", answer, reference}}).front().reward;
}

TEST(LastNumber, EqualNumbersAreEqualTexts) {
  for (const auto& [text, want] :
       std::vector<std::pair<std::string, std::string>>{{"#### 42", "42"},
                                                        {"it is 1,250.50 dollars.", "1250.5"},
                                                        {"x = -3", "-3"},
                                                        {"10-3", "3"},
                                                        {"-7", "-7"},
                                                        {"007", "7"},
                                                        {"0.0", "0"},
                                                        {"-0", "0"},
                                                        {".5", "0.5"},
                                                        {"1, 2", "2"},
                                                        {"12.", "12"},
                                                        {"v1.2.3", "1.2.3"},
                                                        {"none", ""},
                                                        {"", ""}})
    EXPECT_EQ(last_number(text), want) << text;
}

TEST(Rules, StrictAndLenientReadingsAreTold) {
  EXPECT_EQ(reward("number", "So it is 12.", "3 * 4 = 12\n#### 12"), 1);
  EXPECT_EQ(reward("number", "So it is 13.", "12"), 0);
  EXPECT_EQ(reward("number", "no idea", "none"), 0) << "two texts without a number are not equal numbers";
  EXPECT_EQ(reward("exact", " yes\n", "yes"), 1);
  EXPECT_EQ(reward("exact", "yes, sir", "yes"), 0);
  EXPECT_EQ(reward("contains", "Yes, sir", "yes"), 1);
  EXPECT_EQ(reward("contains", "anything", " "), 0);
  const Verdict chatty = make_verifier({.rule = "number"})->judge({{"q", "It is 4", "4"}}).front();
  EXPECT_EQ(chatty.strict, 0);
  EXPECT_EQ(chatty.lenient, 1);
}

TEST(Programs, GetEveryAttemptAndAnswerWithANumberEach) {
  const auto verifier = make_verifier(
      {.rule = "program",
       .program =
           "while read -r line; do case \"$line\" in *'\"answer\":\"good'*) echo 1;; *) echo 0.25;; esac; done"});
  const std::vector<Verdict> got = verifier->judge({{"a", "good\nline", "x"}, {"b", "bad 'quote' $(id)", "x"}});
  EXPECT_EQ(got[0].reward, 1);
  EXPECT_EQ(got[1].reward, 0.25);
}

TEST(Programs, ThatBreakEndTheRun) {
  const auto fault = [](const std::string& program) -> std::string {
    try {
      make_verifier({.rule = "program", .program = program})->judge({{"a", "b", "c"}, {"a", "b", "c"}});
    } catch (const FaultError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(fault("exit 3"), HasSubstr("ended with status 3"));
  EXPECT_THAT(fault("echo 1"), HasSubstr("wrote 1 numbers, want one for each of 2 answers"));
  EXPECT_THAT(fault("echo 1 2 3"), HasSubstr("wrote 3 numbers"));
  EXPECT_THAT(fault("echo 1 yes"), HasSubstr("and other words"));
  EXPECT_THAT(fault("echo nan 1"), HasSubstr("no number"));
}

TEST(Rewards, TablesThatCannotBeMeantAreRefused) {
  EXPECT_THROW(make_verifier({.rule = "perhaps"}), UserError);
  EXPECT_THROW(make_verifier({.rule = "program"}), UserError);
  EXPECT_THROW(make_verifier({.rule = "exact", .program = "cat"}), UserError);
}

TEST(GroupAdvantages, CompareAnAnswerWithItsGroup) {
  EXPECT_THAT(group_advantages({1, 0, 1, 1, 1, 1}, 2, false), ::testing::ElementsAre(0.5, -0.5, 0, 0, 0, 0));
  const std::vector<double> scaled = group_advantages({1, 0, 0, 0}, 4, true);
  EXPECT_NEAR(scaled[0], 0.75 / 0.5, 1e-3);
  EXPECT_NEAR(scaled[0] + scaled[1] + scaled[2] + scaled[3], 0, 1e-9);
}

}  // namespace
}  // namespace tessera::train
