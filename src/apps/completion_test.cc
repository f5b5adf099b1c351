// Scripts of completion, run by the shells they are for where those are here.
#include "apps/completion.h"

#include <gmock/gmock.h>

#include <sstream>

#include "core/files.h"
#include "tests/support/process.h"
#include "tests/support/scratch.h"

namespace tessera::apps {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) found.push_back(line);
  return found;
}

bool has_shell(const std::string& shell) { return testing::run({"/bin/sh", "-c", "command -v " + shell}).status == 0; }

class Completion : public ::testing::Test {
 protected:
  Completion() {
    for (const char* shell : {"bash", "zsh", "fish"})
      write_file_atomically(folder_ / shell, testing::tessera({"completion", shell}).out);
    write_file_atomically(folder_ / "red apple.png", "");
    write_file_atomically(folder_ / "recipe.toml", "");
  }

  /// What bash offers for the last of `words`, in a folder with two files.
  std::vector<std::string> offered(const std::vector<std::string>& words) const {
    std::string command = "cd '" + folder_.path().string() + "' && source ./bash && COMP_WORDS=(tessera";
    for (const std::string& word : words) command += " '" + word + "'";
    command += fmt::format("); COMP_CWORD={}; _tessera; printf '%s\\n' \"${{COMPREPLY[@]}}\"", words.size());
    const testing::Finished finished = testing::run({"bash", "--norc", "-c", command});
    EXPECT_EQ(finished.err, "");
    std::vector<std::string> found = lines_of(finished.out);
    if (found == std::vector<std::string>{""}) found.clear();  // printf of nothing is an empty line
    return found;
  }
  const testing::ScratchFolder folder_;
};

TEST_F(Completion, OffersEveryVerbAndTheSecondWordsOfThoseOfTwo) {
  const std::vector<std::string> first = offered({""});
  for (const Verb& verb : verbs()) {
    const size_t blank = verb.line.verb.find(' ');
    EXPECT_THAT(first, Contains(verb.line.verb.substr(0, blank)));
    if (blank == std::string::npos) continue;
    EXPECT_THAT(offered({verb.line.verb.substr(0, blank), ""}), Contains(verb.line.verb.substr(blank + 1)));
  }
  EXPECT_THAT(offered({"dr"}), ElementsAre("draw"));
  EXPECT_THAT(offered({"plan", "b"}), ElementsAre("budget"));
  EXPECT_THAT(offered({"help", "ins"}), ElementsAre("inspect"));
}

TEST_F(Completion, OffersEveryOptionOfEveryVerb) {
  for (const Verb& verb : verbs()) {
    std::vector<std::string> words;
    std::istringstream split(verb.line.verb);
    for (std::string word; split >> word;) words.push_back(word);
    words.push_back("--");
    std::vector<std::string> flags = {"--help"};
    for (const detail::Option& option : verb.options()) {
      if (detail::is_positional(verb.line, option)) continue;
      flags.push_back("--" + detail::kebab(option.field));
      if (option.on_by_default) flags.push_back("--no-" + detail::kebab(option.field));
    }
    EXPECT_THAT(offered(words), ::testing::UnorderedElementsAreArray(flags)) << verb.line.verb;
  }
}

TEST_F(Completion, OffersFilesWhereAFileIsMeantAndTheirNamesStayWhole) {
  EXPECT_THAT(offered({"draw", "--from", "re"}), ::testing::UnorderedElementsAre("recipe.toml", "red apple.png"));
  EXPECT_THAT(offered({"draw", "-o", "red"}), ElementsAre("red apple.png"));
  EXPECT_THAT(offered({"train", "rec"}), ElementsAre("recipe.toml"));
  EXPECT_THAT(offered({"see", "-m", "m", "red"}), ElementsAre("red apple.png"));
  EXPECT_THAT(offered({"draw", "--out", "=", "rec"}), ElementsAre("recipe.toml"));
}

TEST_F(Completion, OffersTheWordsThatAnOptionTakesAndNothingForNumbersAndTexts) {
  EXPECT_THAT(offered({"eval", "--task", "per"}), ElementsAre("perplexity"));
  EXPECT_THAT(offered({"draw", "--device", ""}), ElementsAre("auto", "cpu", "cuda"));
  EXPECT_THAT(offered({"completion", ""}), ElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(offered({"draw", "--seed", ""}), IsEmpty());
  EXPECT_THAT(offered({"draw", "re"}), IsEmpty());
  EXPECT_THAT(offered({"no-such-verb", "re"}), IsEmpty());
}

TEST_F(Completion, ZshReadsItsScriptAndOffersVerbsAndOptions) {
  if (!has_shell("zsh")) GTEST_SKIP() << "no zsh here";
  const std::string file = (folder_ / "zsh").string();
  const testing::Finished checked = testing::run({"zsh", "-f", "-n", file});
  EXPECT_EQ(checked.status, 0) << checked.err;
  // _arguments and _describe, as far as this script uses them: they print what they are given.
  const std::string stand_ins =
      "compdef() {}; _describe() { print -rl -- $candidates }; _arguments() { print -rl -- \"$@\" }; ";
  const auto offers = [&](const std::string& words, int current) {
    return testing::run(
               {"zsh", "-f", "-c",
                stand_ins + "source '" + file + "'; words=(" + words + fmt::format("); CURRENT={}; _tessera", current)})
        .out;
  };
  EXPECT_THAT(offers("tessera ''", 2),
              AllOf(HasSubstr("draw:pictures from words\n"), HasSubstr("plan:ladder, budget")));
  EXPECT_THAT(offers("tessera plan ''", 3), AllOf(HasSubstr("ladder:"), Not(HasSubstr("draw"))));
  EXPECT_THAT(offers("tessera draw --se", 3), HasSubstr("--seed[same seed, same result]:N: \n"));
  EXPECT_THAT(offers("tessera plan ladder --", 4), HasSubstr("--report["));
}

TEST_F(Completion, FishReadsItsScriptAndOffersVerbsAndOptions) {
  if (!has_shell("fish")) GTEST_SKIP() << "no fish here";
  const auto offers = [&](const std::string& line) {
    const testing::Finished finished = testing::run(
        {"fish", "--no-config", "-c", "source '" + (folder_ / "fish").string() + "'; complete -C '" + line + "'"},
        {"HOME=" + folder_.path().string()});
    EXPECT_EQ(finished.err, "");
    return finished.out;
  };
  EXPECT_THAT(offers("tessera dr"), HasSubstr("draw\tpictures from words"));
  EXPECT_THAT(offers("tessera plan "), AllOf(HasSubstr("ladder\t"), Not(HasSubstr("draw"))));
  EXPECT_THAT(offers("tessera draw --se"), HasSubstr("--seed\tsame seed, same result"));
  EXPECT_THAT(offers("tessera plan ladder --rep"), HasSubstr("--report"));
  EXPECT_THAT(offers("tessera eval --task per"), HasSubstr("perplexity"));
}

TEST_F(Completion, AnotherShellIsRefused) {
  const testing::Finished wrong = testing::tessera({"completion", "powershell"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_EQ(wrong.err,
            "tessera completion: [completion] there is no script for 'powershell', want bash, zsh or fish\n");
}

}  // namespace
}  // namespace tessera::apps
