// Heavy verbs: each one listed in the executable is answered by libtessera.so, and its faults become one line.
#include <gmock/gmock.h>

#include "apps/engine.h"
#include "apps/text_testing.h"
#include "apps/verbs.h"
#include "tests/support/process.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(EngineVerbs, EveryHeavyVerbOfTheTableIsRegisteredInTheLibrary) {
  for (const auto& verb : apps::verbs()) {
    if (verb.run) continue;
    const char* words[] = {verb.line.verb.c_str(), "--help"};
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(tessera_run_verb(2, words), 0) << verb.line.verb;
    EXPECT_THAT(::testing::internal::GetCapturedStdout(), StartsWith("tessera " + verb.line.verb + ":"));
  }
  const char* unknown[] = {"no such verb"};
  EXPECT_THROW(tessera_run_verb(1, unknown), FaultError);
}

TEST(EngineVerbs, AHeavyVerbRunsAndItsLastLineIsJson) {
  const auto devices = testing::tessera({"devices", "--json", "--device", "cpu", "--threads", "1"});
  EXPECT_EQ(devices.status, 0) << devices.err;
  const Json found = parse_json(devices.out, "output");
  EXPECT_EQ(found["device"], "cpu");
  EXPECT_EQ(found["threads"], 1);
}

TEST(EngineVerbs, TextThatCannotBeWrittenOutIsAFault) {
  const apps::TinyTextModel model;
  const std::string write =
      std::string(TESSERA_BINARY) + " write --max-new-tokens 4 once -m " + model.directory().string();
  const auto full = testing::run({"/bin/sh", "-c", write + " > /dev/full"});
  EXPECT_EQ(full.status, 1);
  EXPECT_THAT(full.err, HasSubstr("[output] cannot write to standard output: No space left on device"));
  const auto gone = testing::run({"/bin/sh", "-c", "trap '' PIPE; (" + write + "; echo status $? >&2) | true"});
  EXPECT_THAT(gone.err,
              AllOf(HasSubstr("[output] cannot write to standard output: Broken pipe"), HasSubstr("status 1")));
}

TEST(EngineVerbs, AbsurdNumbersOfThreadsAreRefused) {
  for (const char* threads : {"100000", "-1"}) {
    const auto wrong = testing::tessera({"devices", "--threads", threads});
    EXPECT_EQ(wrong.status, 2);
    EXPECT_THAT(wrong.err, StartsWith("tessera devices: [device] --threads is " + std::string(threads)));
  }
}

TEST(EngineVerbs, AUserErrorInsideTheLibraryKeepsItsStatusAndIsOneLine) {
  const auto wrong = testing::tessera({"devices", "--device", "tpu"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_EQ(wrong.err, "tessera devices: [device] unknown device 'tpu', want auto, cpu, cuda or cuda:N\n");
}

}  // namespace
}  // namespace tessera
