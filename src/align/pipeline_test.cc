// A whole run on a model of a few thousand weights: what it makes, that it goes on where it was, and what it refuses.
#include "align/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "align/run_state.h"
#include "align/testing_run.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "tests/support/scratch.h"
#include "tests/support/user_error.h"

namespace tessera::align {
namespace {

using tessera::testing::user_error;
using ::testing::HasSubstr;

class AlignRun : public ::testing::Test {
 protected:
  void SetUp() override {
    set_progress_enabled(false);
    set_log_level(LogLevel::quiet);
    testing::write_small_inputs(scratch_.path());
  }
  AlignRecipe recipe(const std::string& out) const { return testing::small_recipe(scratch_.path(), out); }
  std::string made(const std::string& out) const { return testing::made_by(scratch_ / out); }
  tessera::testing::ScratchFolder scratch_;
};

TEST_F(AlignRun, MakesAModelARoundAndGoesOnToFurtherRounds) {
  const AlignResult result = run_align(recipe("whole"), at::kCPU);
  EXPECT_EQ(result.rounds, 2);
  EXPECT_TRUE(std::filesystem::exists(result.model / "model.safetensors"));
  {
    const Store store(store_of(scratch_ / "whole"), false);
    EXPECT_EQ(store.count_prompts("synthetic"), 14);
    for (int64_t round = 1; round <= 2; ++round) {
      EXPECT_EQ(store.prompts_of_round(round).size(), 4u);
      EXPECT_EQ(store.count_answers(round), 20);
      EXPECT_EQ(store.count_scores(round, "judge-distilled"), 20);
    }
    std::set<std::string> writers;
    store.each_scored(2, "judge-distilled", [&](const StoredPrompt&, const std::vector<ScoredAnswer>& answers) {
      for (const ScoredAnswer& each : answers) writers.insert(each.answer.model);
    });
    EXPECT_EQ(writers, (std::set<std::string>{"round-1", "sft-1", "sft-2"}));
    for (const StoredStep& step : store.steps()) EXPECT_EQ(step.state, "done") << step.name;
  }
  AlignRecipe shorter = recipe("parts");
  shorter.rounds = 1;
  run_align(shorter, at::kCPU);
  run_align(recipe("parts"), at::kCPU);
  EXPECT_EQ(made("parts"), made("whole"));
}

TEST_F(AlignRun, StoppedAnywhereItEndsWithTheSameData) {
  run_align(recipe("whole"), at::kCPU);
  for (int tries = 0;; ++tries) {
    ASSERT_LT(tries, 200) << "no try gets any further";
    std::thread other([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20 + 37 * tries));
      InterruptGuard::raise();
    });
    const AlignResult result = run_align(recipe("stopped"), at::kCPU);
    other.join();
    if (!result.interrupted) break;
  }
  EXPECT_EQ(made("stopped"), made("whole"));
}

TEST_F(AlignRun, PreferencesAreTheOtherWayToLearnFromScores) {
  AlignRecipe r = recipe("dpo");
  r.method = "dpo";
  r.rounds = 1;
  const AlignResult result = run_align(r, at::kCPU);
  EXPECT_EQ(result.rounds, 1);
  EXPECT_THAT(read_file(scratch_ / "dpo/data/round-1.jsonl"), HasSubstr("\"rejected\""));
}

/// What run_align() refuses, and that it has trained nothing before.
class RefusedAlignRun : public AlignRun {
 protected:
  std::string refused(const std::function<void(AlignRecipe&)>& change) const {
    AlignRecipe r = recipe("refused");
    change(r);
    const std::string message = user_error([&] { run_align(r, at::kCPU); });
    EXPECT_FALSE(std::filesystem::exists(scratch_ / "refused/models")) << message;
    const Path store = store_of(scratch_ / "refused");
    if (std::filesystem::exists(store)) {
      EXPECT_EQ(Store(store, false).note("recipe"), "") << message;
    }
    return message;
  }
  std::string file(const std::string& rows) const {
    write_file_atomically(scratch_ / "rows.jsonl", rows);
    return (scratch_ / "rows.jsonl").string();
  }
};

TEST_F(RefusedAlignRun, SeedsAndRatingsAreReadBeforeAnythingIsTrained) {
  EXPECT_THAT(refused([&](AlignRecipe& r) { r.seeds = file("\n"); }), HasSubstr("holds no conversation"));
  EXPECT_THAT(refused([&](AlignRecipe& r) { r.seeds = (scratch_ / "none.jsonl").string(); }), HasSubstr("none.jsonl"));
  EXPECT_THAT(refused([&](AlignRecipe& r) { r.ratings = (scratch_ / "none.jsonl").string(); }),
              HasSubstr("none.jsonl"));
  EXPECT_THAT(
      refused([&](AlignRecipe& r) { r.ratings = file("{\"prompt\":\"p\",\"response\":\"a\",\"score\":11}\n"); }),
      HasSubstr("row 1: 'score' is 11, want 0 to 10"));
  EXPECT_THAT(refused([&](AlignRecipe& r) { r.base = (scratch_ / "none").string(); }), HasSubstr("none"));
  run_align(recipe("refused"), at::kCPU);  // nothing of what was refused stands in its way
}

TEST_F(RefusedAlignRun, TrainingTablesHoldWhatTrainingsKnow) {
  EXPECT_THAT(refused([](AlignRecipe& r) { r.sft.loss["lenght"] = 9; }), HasSubstr("did you mean 'length'"));
  EXPECT_THAT(refused([](AlignRecipe& r) { r.judge.training.model["tunne"] = 9; }),
              HasSubstr("[judge.training] of the recipe"));
  EXPECT_THAT(refused([](AlignRecipe& r) { r.sft.train["bach"] = 9; }), HasSubstr("did you mean 'batch'"));
  EXPECT_THAT(refused([](AlignRecipe& r) { r.sft.epochs = 0; }), HasSubstr("sft.epochs is 0, want more than 0"));
  EXPECT_THAT(refused([](AlignRecipe& r) { r.sft.model["from"] = "x"; }), HasSubstr("the run's own matter"));
}

TEST_F(RefusedAlignRun, PoolAndContextHaveRoomForTheWholeRun) {
  EXPECT_THAT(refused([](AlignRecipe& r) { r.prompts.pool = 9; }),
              HasSubstr("2 rounds of 4 prompts and 2 for the judge's distillation want 10 prompts, prompts.pool is 9"));
  EXPECT_THAT(refused([](AlignRecipe& r) { r.answers.max_tokens = 1000; }), HasSubstr("the context of"));
}

TEST_F(AlignRun, APoolThatCameOutTooSmallEndsTheRunBeforeItsFirstTraining) {
  AlignRecipe r = recipe("small");
  r.prompts.attempts = 1;  // of 64 texts few end with their line
  EXPECT_THAT(user_error([&] { run_align(r, at::kCPU); }), HasSubstr("want 10: ask for fewer rounds"));
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "small/models"));
}

TEST_F(AlignRun, AFaultThatNobodyForesawLeavesAFailedStateToo) {
  std::filesystem::create_directories(scratch_ / "odd");
  std::filesystem::create_symlink("models", scratch_ / "odd/models");  // to itself: no path through it can be followed
  EXPECT_THROW(run_align(recipe("odd"), at::kCPU), std::filesystem::filesystem_error);
  EXPECT_THAT(words_of_state(read_state(scratch_ / "odd")), HasSubstr("sft-1: failed: [internal] "));
}

TEST_F(AlignRun, AnotherRecipeIsRefusedAndMoreRoundsAreNot) {
  AlignRecipe r = recipe("one");
  r.rounds = 1;
  run_align(r, at::kCPU);
  AlignRecipe other = r;
  other.answers.samples = 7;
  EXPECT_THAT(user_error([&] { run_align(other, at::kCPU); }), HasSubstr("begun with another recipe: 'answers' was"));
  r.rounds = 2;
  EXPECT_EQ(run_align(r, at::kCPU).rounds, 2);
  const Json state = read_state(scratch_ / "one");
  EXPECT_EQ(state["state"], "done");
  EXPECT_THAT(read_file(scratch_ / "one/metrics.jsonl"), HasSubstr("{\"step\":2,\"scores_mean\":"));
}

TEST_F(AlignRun, RecipesAreReadStrictly) {
  const std::string inputs = "base = \"x\"\nseeds = \"s\"\nratings = \"r\"\n";
  write_file_atomically(scratch_ / "run.toml", inputs + "rounds = 0\n");
  EXPECT_THROW(read_align_recipe(scratch_ / "run.toml"), UserError);
  EXPECT_EQ(read_align_recipe(scratch_ / "run.toml", {"rounds=2", "answers.prompts=5"}).answers.prompts, 5);
  EXPECT_THROW(read_align_recipe(scratch_ / "run.toml", {"rounds=2", "answers.promts=5"}), UserError);
  EXPECT_THROW(read_align_recipe(scratch_ / "run.toml", {"rounds=2", "sft.epocs=5"}), UserError);
  EXPECT_THROW(read_align_recipe(scratch_ / "run.toml", {"rounds=2", "judge.chat_template=chatml"}), UserError);
}

}  // namespace
}  // namespace tessera::align
