// What is suggested for a name that this program does not have.
#include "apps/suggestions.h"

#include <gtest/gtest.h>

#include "apps/verbs.h"

namespace tessera::apps {
namespace {

std::vector<std::string> all_verbs() {
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) names.push_back(verb.line.verb);
  return names;
}

TEST(Suggestions, VerbsOfOtherProgramsNameOurs) {
  EXPECT_EQ(verb_suggestion("run", all_verbs()), "; did you mean 'chat'?");
  EXPECT_EQ(verb_suggestion("ls", all_verbs()), "; did you mean 'inspect'?");
  EXPECT_EQ(verb_suggestion("generate", all_verbs()), "; did you mean 'write' or 'draw'?");
  EXPECT_EQ(verb_suggestion("finetune", all_verbs()), "; did you mean 'train'?");
}

TEST(Suggestions, AVerbThatThisBuildDoesNotHaveIsNotSuggested) {
  EXPECT_EQ(verb_suggestion("run", {"draw", "pull"}), "");
  EXPECT_EQ(verb_suggestion("download", {"draw", "inspect"}), "");
}

TEST(Suggestions, ASlipOfSpellingNamesTheNearest) {
  EXPECT_EQ(verb_suggestion("devises", all_verbs()), "; did you mean 'devices'?");
  EXPECT_EQ(verb_suggestion("plan lader", all_verbs()), "; did you mean 'plan ladder'?");
  EXPECT_EQ(option_suggestion("--cuont", {"--model", "--count"}), "; did you mean '--count'?");
}

TEST(Suggestions, NothingIsGuessedThatIsFartherThanHalfTheWord) {
  EXPECT_EQ(verb_suggestion("hello", all_verbs()), "");
  EXPECT_EQ(verb_suggestion("x", all_verbs()), "");
  EXPECT_EQ(verb_suggestion("", all_verbs()), "");
  EXPECT_EQ(option_suggestion("--xyz", {"--model", "--set"}), "") << "the dashes do not count";
  EXPECT_EQ(option_suggestion("--", {"--model"}), "");
  EXPECT_EQ(option_suggestion("--xyz", {}), "");
}

TEST(Suggestions, OptionsOfOtherProgramsNameOursWhereTheVerbHasThem) {
  EXPECT_EQ(option_suggestion("--guidance-scale", {"--cfg", "--tau"}), "; did you mean '--cfg'?");
  EXPECT_EQ(option_suggestion("--steps", {"--set", "--out"}), "; did you mean '--set'?");
  EXPECT_EQ(option_suggestion("--guidance-scale", {"--tau"}), "");
}

}  // namespace
}  // namespace tessera::apps
