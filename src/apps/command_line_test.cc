// The program as a person meets it: help, versions, mistakes, exit statuses, and that light words load no LibTorch.
#include <gmock/gmock.h>

#include <sstream>

#include "apps/verbs.h"
#include "tests/support/process.h"

namespace tessera {
namespace {

using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// Runs tessera under the loader's own trace and returns the names of the libraries it mapped.
std::string libraries_loaded_by(const std::vector<std::string>& words) {
  const Finished traced = testing::tessera(words, {"LD_DEBUG=files"});
  return traced.err;
}

TEST(CommandLine, HelpListsEveryVerbAndLoadsNoLibTorch) {
  const Finished help = testing::tessera({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const auto& verb : apps::verbs()) EXPECT_THAT(help.out, HasSubstr("  " + verb.line.verb + " "));
  EXPECT_THAT(libraries_loaded_by({"--help"}), Not(HasSubstr("libtorch")));
  EXPECT_THAT(libraries_loaded_by({"--help"}), HasSubstr("libtessera_core"));  // the trace does trace
}

TEST(CommandLine, HelpOfEveryVerbIsShownWithoutLibTorch) {
  for (const auto& verb : apps::verbs()) {
    std::istringstream split(verb.line.verb);
    std::vector<std::string> words{std::istream_iterator<std::string>(split), {}};
    words.push_back("--help");
    const Finished help = testing::tessera(words);
    EXPECT_EQ(help.status, 0) << verb.line.verb;
    EXPECT_THAT(help.out, StartsWith("tessera " + verb.line.verb + ": " + verb.line.summary + "\n"));
    EXPECT_THAT(libraries_loaded_by(words), Not(HasSubstr("libtorch")));
  }
}

TEST(CommandLine, NoArgumentsAndTheWordHelpShowTheOverview) {
  EXPECT_EQ(testing::tessera({}).out, testing::tessera({"--help"}).out);
  EXPECT_EQ(testing::tessera({"help", "devices"}).out, testing::tessera({"devices", "--help"}).out);
}

TEST(CommandLine, VersionIsOneLine) {
  const Finished version = testing::tessera({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_THAT(version.out, ::testing::MatchesRegex("tessera [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(CommandLine, AnUnknownVerbNamesTheNearestAndExitsWithTwo) {
  const Finished wrong = testing::tessera({"devises"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_EQ(wrong.err, "tessera: [command line] unknown verb 'devises'; did you mean 'devices'? See tessera --help\n");
  EXPECT_EQ(wrong.out, "");
}

TEST(CommandLine, AVerbOfOtherProgramsNamesOursAndAFarWordIsNotGuessed) {
  EXPECT_EQ(testing::tessera({"list"}).err,
            "tessera: [command line] unknown verb 'list'; did you mean 'inspect'? See tessera --help\n");
  EXPECT_EQ(testing::tessera({"abcdefgh"}).err,
            "tessera: [command line] unknown verb 'abcdefgh'; see tessera --help\n");
  EXPECT_EQ(testing::tessera({"devices", "--abcdefgh"}).err,
            "tessera devices: [command line] unknown option '--abcdefgh'; see tessera devices --help\n");
}

TEST(CommandLine, AMistypedFlagIsReportedWithoutLoadingLibTorch) {
  const Finished wrong = testing::tessera({"devices", "--jsn"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, StartsWith("tessera devices: [command line] unknown option '--jsn'; did you mean '--json'?"));
  EXPECT_THAT(libraries_loaded_by({"devices", "--jsn"}), Not(HasSubstr("libtorch")));
}

TEST(CommandLine, AnOutputThatCannotBeWrittenIsAFault) {
  const Finished full = testing::run({"/bin/sh", "-c", std::string(TESSERA_BINARY) + " --help > /dev/full"});
  EXPECT_EQ(full.status, 1);
  EXPECT_EQ(full.err, "tessera: [output] cannot write to standard output: No space left on device\n");
}

}  // namespace
}  // namespace tessera
