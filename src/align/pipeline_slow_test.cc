// The program itself, killed and starved of disk: what it leaves behind goes on to the data of an undisturbed run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <set>
#include <thread>

#include "align/testing_run.h"
#include "core/log.h"
#include "core/rng.h"
#include "tests/support/process.h"
#include "tests/support/scratch.h"

namespace tessera::align {
namespace {

using ::testing::HasSubstr;

class AlignProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_level(LogLevel::quiet);
    testing::write_small_inputs(scratch_.path());
    const AlignRecipe recipe = testing::small_recipe(scratch_.path(), "whole");
    write_file_atomically(scratch_ / "run.toml", to_toml(to_json(recipe)));
    const auto whole = tessera::testing::tessera(words("whole"), environment_);
    ASSERT_EQ(whole.status, 0) << whole.err;
    const auto begun = std::chrono::steady_clock::now();
    tessera::testing::tessera({"align", "status", scratch_ / "whole"}, environment_);
    start_ = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun);
  }
  std::vector<std::string> words(const std::string& out) const {
    return {"align", scratch_ / "run.toml", "--out", scratch_ / out, "--threads", "1", "--quiet"};
  }
  /// The step that is under way, as the store has it.
  std::string step_of(const std::string& out) const {
    if (!std::filesystem::exists(store_of(scratch_ / out))) return "nothing";
    std::string last = "begun";
    for (const StoredStep& step : Store(store_of(scratch_ / out)).steps()) last = step.name + ", " + step.state;
    return last;
  }
  std::chrono::milliseconds start_{};  // until the program works
  const std::vector<std::string> environment_ = {"OMP_WAIT_POLICY=passive"};
  tessera::testing::ScratchFolder scratch_{tessera::testing::ScratchFolder::On::memory};
};

TEST_F(AlignProgram, KilledFiftyTimesAtRandomPointsItMakesTheDataOfAnUndisturbedRun) {
  constexpr int least_kills = 50;
  Rng rng(7);
  int kills = 0;
  std::set<std::string> met;  // steps that a kill fell into
  for (int run = 0; kills < least_kills; ++run) {
    ASSERT_LT(run, 40);
    const std::string out = "killed-" + std::to_string(run);
    for (int attempt = 0;; ++attempt) {
      ASSERT_LT(attempt, 400) << "no attempt gets any further than " << step_of(out);
      // Each attempt has a little more time, so that a slow machine comes to the end too.
      const auto pause = start_ / 2 + std::chrono::milliseconds(rng.below(static_cast<uint64_t>(800 + 40 * attempt)));
      const auto ended = tessera::testing::killed_after(pause, words(out), environment_);
      if (ended.status != 128 + SIGKILL) {
        ASSERT_EQ(ended.status, 0) << ended.err;
        break;
      }
      ++kills;
      met.insert(step_of(out));
    }
    ASSERT_EQ(testing::made_by(scratch_ / out), testing::made_by(scratch_ / "whole")) << "run " << run;
    std::filesystem::remove_all(scratch_ / out);
  }
  EXPECT_GE(met.size(), 6u) << "kills fell into few steps, so little was shown";
  RecordProperty("kills", kills);
  RecordProperty("steps", static_cast<int>(met.size()));
}

TEST_F(AlignProgram, AFullDiskEndsItWithOneLineAndItGoesOnWhenThereIsRoom) {
  int faults = 0;
  // No file may grow beyond this many bytes: the store first, then the models' files, then nothing.
  for (const int kilobytes : {8, 40, 90, 150, 250, 400}) {
    std::vector<std::string> limited = {
        "bash", "-c", "trap '' XFSZ; ulimit -f " + std::to_string(kilobytes) + "; exec \"$@\"", "bash"};
    limited.push_back(tessera::testing::program());
    for (const std::string& word : words("full")) limited.push_back(word);
    const auto ended = tessera::testing::run(limited, environment_);
    if (ended.status == 0) continue;
    ++faults;
    EXPECT_EQ(ended.status, 1) << ended.err;
    EXPECT_EQ(std::ranges::count(ended.err, '\n'), 1) << ended.err;
  }
  EXPECT_GE(faults, 2);
  const auto after = tessera::testing::tessera(words("full"), environment_);
  EXPECT_EQ(after.status, 0) << after.err;
  EXPECT_EQ(testing::made_by(scratch_ / "full"), testing::made_by(scratch_ / "whole"));
}

TEST_F(AlignProgram, TwoRunsOnOneStoreAreRefused) {
  std::thread first([&] { tessera::testing::tessera(words("both"), environment_); });
  std::string refusal;
  for (int i = 0; i < 400 && refusal.empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (!std::filesystem::exists(scratch_ / "both/running")) continue;
    const auto second = tessera::testing::tessera(words("both"), environment_);
    if (second.status == 2) refusal = second.err;
    else break;
  }
  first.join();
  EXPECT_THAT(refusal, HasSubstr("both"));
  EXPECT_EQ(testing::made_by(scratch_ / "both"), testing::made_by(scratch_ / "whole"));
}

}  // namespace
}  // namespace tessera::align
