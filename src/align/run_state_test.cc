// What a run's state says to people.
#include "align/run_state.h"

#include <gtest/gtest.h>

#include "tests/support/scratch.h"

namespace tessera::align {
namespace {

TEST(RunStateWords, AFailedRunSaysWhereAndWhy) {
  EXPECT_EQ(words_of_state({{"step", "round 2: scores"}, {"state", "failed"}, {"error", "[align] no answer"}}),
            "round 2: scores: failed: [align] no answer");
  EXPECT_EQ(words_of_state({{"step", "round 2: scores"}, {"state", "stopped"}}),
            "round 2: scores: stopped; go on with the same command");
  EXPECT_EQ(words_of_state({{"step", "final"}, {"state", "done"}}), "final: done");
}

TEST(RunStateWords, ARunningStepSaysHowFarItIs) {
  const Json running = {{"step", "s"}, {"state", "running"}, {"done", 3}, {"of", 9}, {"unit", "answers"}};
  EXPECT_EQ(words_of_state(running), "s: 3 of 9 answers");
  Json timed = running;
  timed["seconds_left"] = 12.0;
  EXPECT_EQ(words_of_state(timed), "s: 3 of 9 answers, 12s left");
  EXPECT_EQ(words_of_state({{"step", "s"}, {"state", "running"}}), "s: running");
}

TEST(RunStateWords, AFaultOfAnyBytesIsWritten) {
  const tessera::testing::ScratchFolder scratch;
  write_state(scratch.path(), "seeds", "failed", {{"error", "no file 'a\xFF'"}});
  EXPECT_EQ(words_of_state(read_state(scratch.path())), "seeds: failed: no file 'a\xEF\xBF\xBD'");
}

TEST(RunStateWords, NoStateIsNoWords) { EXPECT_EQ(words_of_state(Json::object()), ""); }

}  // namespace
}  // namespace tessera::align
