// Warnings: each is given for the ladder that deserves it, and not for its neighbour that does not.
#include <gmock/gmock.h>

#include "plan/ladder/ladder.h"
#include "plan/ladder/testing.h"
#include "plan/ladder/testing_tables.h"

namespace tessera::plan {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr RunScale kNear = {2e9, 4e10, 6 * 2e9 * 4e10};

LadderTable ladder_of(std::vector<double> sizes = {190e6, 370e6, 760e6, 1.3e9},
                      std::vector<double> lengths = {1, 2, 5, 10}) {
  return testing::simulate_ladder(
             1, {.sizes = std::move(sizes), .lengths = std::move(lengths), .tasks = 2, .checkpoints = 12})
      .table;
}

std::vector<std::string> warnings_of(const LadderTable& table, const RunScale& target = kNear, size_t resamples = 1) {
  return forecast_ladder(table, {.targets = {{"big", target}}, .resamples = resamples}).warnings;
}

/// `table` with one run's losses multiplied.
LadderTable with_losses_off(LadderTable table, size_t run, double times) {
  for (double& loss : table.runs[run].loss) loss *= times;
  for (TaskSeries& task : table.runs[run].tasks) {
    for (double& loss : task.bpb) loss *= times;
  }
  return table;
}

TEST(LadderWarnings, ARungOffTheLawIsNamed) {
  LadderTable table = with_losses_off(ladder_of(), 9, 1.1);
  table.runs[9].name = "spoilt";
  EXPECT_THAT(warnings_of(table), Contains(HasSubstr("rung 'spoilt' is off")));
  EXPECT_THAT(warnings_of(ladder_of()), Not(Contains(HasSubstr("is off"))));
}

TEST(LadderWarnings, ACeilingThatARungExceedsIsWarnedOf) {
  const LadderTable table = ladder_of();
  const auto warnings = [&](double ceiling) {
    const LadderOptions options{.ceiling = {{"task0", ceiling}}, .targets = {{"big", kNear}}, .resamples = 1};
    return forecast_ladder(table, options).warnings;
  };
  EXPECT_THAT(warnings(0.3), Contains(HasSubstr("on task0, above its given ceiling of 30.0")));
  EXPECT_THAT(warnings(1), Not(Contains(HasSubstr("given ceiling"))));
}

TEST(LadderWarnings, EqualTokensForAllSizesWarnThatSizeAndTokensAreNotSeparable) {
  LadderTable table = ladder_of({1e8, 2e8, 4e8, 8e8, 1.6e9}, {1});
  for (LadderRun& run : table.runs) {
    for (double& tokens : run.tokens) tokens *= 20e9 / run.final_tokens();
  }
  for (LadderRun& run : table.runs) run.tokens.back() = 20e9;
  EXPECT_THAT(warnings_of(table), Contains(HasSubstr("all rungs share one number of tokens")));
}

TEST(LadderWarnings, TokensProportionalToSizeWarnThatTheyAreNotSeparable) {
  EXPECT_THAT(warnings_of(ladder_of({1e8, 2e8, 4e8, 8e8, 1.6e9}, {2})),
              Contains(HasSubstr("tokens grow in step with size")));
}

TEST(LadderWarnings, ASingleSizeWarnsThatSizeAndTokensAreNotSeparable) {
  EXPECT_THAT(warnings_of(ladder_of({4e8}, {1, 2, 4, 8, 16})), Contains(HasSubstr("all rungs have one size")));
}

TEST(LadderWarnings, AGridOfSizesAndLengthsGivesNoSeparabilityWarning) {
  EXPECT_THAT(warnings_of(ladder_of()), Not(Contains(HasSubstr("not separable"))));
}

TEST(LadderWarnings, OnlyTargetsFarBeyondTheLadderAreWarnedAbout) {
  EXPECT_THAT(warnings_of(ladder_of(), {7e9, 4e12, 6 * 7e9 * 4e12}), Contains(HasSubstr("target big is far away")));
  EXPECT_THAT(warnings_of(ladder_of()), Not(Contains(HasSubstr("far away"))));
}

TEST(LadderWarnings, ATargetBelowTheLadderIsWarnedAbout) {
  EXPECT_THAT(warnings_of(ladder_of(), {2e7, 4e8, 6 * 2e7 * 4e8}),
              Contains(HasSubstr("target big is far below the ladder")));
  EXPECT_THAT(warnings_of(ladder_of()), Not(Contains(HasSubstr("far below"))));
}

TEST(LadderWarnings, ALengthFarOutsideTheRungsIsWarnedAbout) {
  EXPECT_THAT(warnings_of(ladder_of(), {1e8, 1e12, 6 * 1e8 * 1e12}),
              Contains(HasSubstr("target big has 1e+04 tokens per parameter, the rungs have 20 to 200: what so long")));
  EXPECT_THAT(warnings_of(ladder_of(), {4e10, 4e10, 6 * 4e10 * 4e10}), Contains(HasSubstr("what so short")));
  EXPECT_THAT(warnings_of(ladder_of()), Not(Contains(HasSubstr("tokens per parameter"))));
}

TEST(LadderWarnings, AChanceLevelThatARungMissesIsWarnedOf) {
  const auto warnings = [](double chance) {
    const LadderOptions options{.chance = {{"task0", chance}}, .targets = {{"big", kNear}}, .resamples = 1};
    return forecast_ladder(ladder_of(), options).warnings;
  };
  EXPECT_THAT(warnings(0.9), Contains(HasSubstr("on task0, below its given chance level of 90.0")));
  EXPECT_THAT(warnings(0), Not(Contains(HasSubstr("chance level"))));
}

TEST(LadderWarnings, TheRiseOfSparseEvaluationsIsNoNoise) {
  const auto made = testing::simulate_ladder(
      1, {.tasks = 2, .checkpoints = 5, .run_noise = 0, .checkpoint_noise = 0, .accuracy_noise = 0});
  EXPECT_THAT(warnings_of(made.table), Not(Contains(HasSubstr("is noisy"))));
}

TEST(LadderWarnings, BoolQIsWarnedAboutAsNoisy) {
  const auto said =
      forecast_ladder(testing::shipped_table(), {.method = LadderMethod::paper, .tasks = {"boolq", "hellaswag"}})
          .warnings;
  EXPECT_THAT(said, Contains(HasSubstr("boolq is noisy")));
  EXPECT_THAT(said, Not(Contains(HasSubstr("hellaswag is noisy"))));
}

TEST(LadderWarnings, AWideIntervalWarnsAndNamesTheRungThatNarrowsItMost) {
  const LadderTable table = ladder_of();
  LadderForecast forecast;
  forecast.targets = {{"big", kNear}};
  forecast.predictions = {{.target = "big", .task = "task0", .predicted = 0.5, .low = 0.45, .high = 0.6},
                          {.target = "big", .task = "task1", .predicted = 0.5, .low = 0.47, .high = 0.52}};
  forecast.next = NextRung{{1e9, 2e10, 1.2e20}, 0.3};
  const auto said = ladder_warnings(table, all_rungs(table), {}, forecast);
  EXPECT_EQ(
      said.back(),
      "not robust yet: 80% intervals of big are 10.0 points wide on average, wider than 8 in 1 of 2 tasks; most would "
      "be gained by a rung of 1B parameters on 20B tokens (1.2e+20 FLOPs, 25% of the target): intervals about 30% "
      "narrower");
  forecast.predictions[0].high = 0.5;
  EXPECT_THAT(ladder_warnings(table, all_rungs(table), {}, forecast), Not(Contains(HasSubstr("not robust yet"))));
}

TEST(LadderWarnings, SparseEvaluationsAreSaid) {
  const LadderTable sparse = testing::simulate_ladder(1, {.tasks = 2, .checkpoints = 4}).table;
  EXPECT_THAT(warnings_of(sparse), Contains(HasSubstr("16 of 16 runs have one evaluation in the last tenth")));
  EXPECT_THAT(warnings_of(ladder_of()), Not(Contains(HasSubstr("have no evaluation"))));
  LadderTable cut = ladder_of();
  for (TaskSeries& task : cut.runs[0].tasks) {
    for (size_t i = cut.runs[0].tokens.size() / 2; i < cut.runs[0].tokens.size(); ++i) task.acc[i] = kMissing;
  }
  EXPECT_THAT(warnings_of(cut), Contains(HasSubstr("1 runs have no evaluation in the last tenth of their tokens")));
}

TEST(LadderWarnings, ATaskThatStaysAtChanceIsCalledNotPredictable) {
  LadderTable table = ladder_of();
  Rng rng(5);
  for (LadderRun& run : table.runs) {
    for (double& accuracy : run.tasks[1].acc) accuracy = 0.25 + 0.01 * rng.uniform(-1, 1);
  }
  EXPECT_THAT(warnings_of(table), Contains(HasSubstr("task1: not predictable from this ladder")));
  EXPECT_THAT(warnings_of(table), Not(Contains(HasSubstr("task0: not predictable"))));
}

TEST(LadderWarnings, ACeilingThatNoRungShowsIsSaidUnlessItIsGiven) {
  const LadderTable table = ladder_of();
  const RunScale far = {7e9, 4e12, 6 * 7e9 * 4e12};
  LadderOptions options{.targets = {{"big", far}}, .resamples = 1};
  const LadderForecast forecast = forecast_ladder(table, options);
  const double reached = final_accuracy(table.runs.back(), 0);
  const bool said = forecast.predictions[0].predicted > 0.75 && reached < 0.75;
  const auto warned = Contains(::testing::AllOf(HasSubstr("no rung shows the ceiling of"), HasSubstr("task0")));
  if (said) EXPECT_THAT(forecast.warnings, warned);
  else EXPECT_THAT(forecast.warnings, Not(warned));
  options.ceiling = {{"task0", 0.95}, {"task1", 0.95}};
  EXPECT_THAT(forecast_ladder(table, options).warnings, Not(Contains(HasSubstr("no rung shows the ceiling"))));
}

TEST(LadderWarnings, NotesOfTheTableBecomeWarnings) {
  LadderTable table = ladder_of();
  table.notes = {"3 rows were odd"};
  EXPECT_THAT(warnings_of(table), Contains("3 rows were odd"));
}

}  // namespace
}  // namespace tessera::plan
