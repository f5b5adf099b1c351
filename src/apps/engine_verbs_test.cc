// Heavy verbs: each one listed in the executable is answered by libtessera.so, and its faults become one line.
#include <gmock/gmock.h>

#include "apps/engine.h"
#include "apps/verbs.h"
#include "tests/support/process.h"

namespace tessera {
namespace {

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

TEST(EngineVerbs, AUserErrorInsideTheLibraryKeepsItsStatusAndIsOneLine) {
  const auto wrong = testing::tessera({"devices", "--device", "tpu"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_EQ(wrong.err, "tessera devices: [device] unknown device 'tpu', want auto, cpu, cuda or cuda:N\n");
}

}  // namespace
}  // namespace tessera
