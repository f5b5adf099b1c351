// Prompts from standard input, beside those of the command line and of files.
#include "apps/text_request.h"

#include <gmock/gmock.h>

#include <fstream>

#include "apps/text_testing.h"
#include "core/error.h"
#include "tests/support/scratch.h"

namespace tessera::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(StandardInput, BytesAreReadAsTheyAre) {
  const std::string bytes = std::string("\x89PNG\r\n\0\xFF", 8) + std::string(200'000, 'x');
  const StandardInput input(bytes);
  EXPECT_EQ(read_standard_input(), bytes);
}

TEST(StandardInput, ADashIsItsTextWithoutTheLastLineEnd) {
  const StandardInput input("\xEF\xBB\xBFOnce\r\nupon\n");
  EXPECT_THAT(given_prompts({"first", "-"}, "", "write"), ElementsAre("first", "Once\nupon"));
}

TEST(StandardInput, AFileThatIsADashIsItsLines) {
  const StandardInput input("Once\n\n  \nTwice");
  EXPECT_THAT(given_prompts({"first"}, "-", "write"), ElementsAre("first", "Once", "Twice"));
}

TEST(StandardInput, OtherFilesAreFilesAlsoOneOfThatName) {
  const tessera::testing::ScratchFolder folder;
  std::ofstream(folder / "-") << "Once\n";
  EXPECT_THAT(given_prompts({}, folder / "-", "write"), ElementsAre("Once"));
}

TEST(StandardInput, IsReadOnceAndMustHoldWords) {
  const StandardInput input(" \n");
  EXPECT_THAT(
      [] {
        given_prompts({"-", "-"}, "", "write");
      },
      ThrowsMessage<UserError>(HasSubstr("[write] '-' is given 2 times")));
  EXPECT_THAT([] { given_prompts({"-"}, "-", "draw"); },
              ThrowsMessage<UserError>(HasSubstr("[draw] '-' is given 2 times")));
  EXPECT_THAT([] { given_prompts({"-"}, "", "write"); }, ThrowsMessage<UserError>(HasSubstr("no words")));
}

}  // namespace
}  // namespace tessera::apps
