// A run under way: what its checkpoints do to the forecast.
#include "plan/ladder/running.h"
#include "plan/ladder/testing_tables.h"

#include <gmock/gmock.h>

#include <cmath>

#include "core/error.h"
#include "plan/ladder/ladder_report.h"
#include "plan/ladder/testing.h"

namespace tessera::plan {
namespace {

using ::testing::HasSubstr;

/// A simulated ladder whose largest and longest run is taken out and followed.
struct UnderWay {
  LadderTable table;
  LadderRun run;
  LadderOptions options;
  LadderForecast forecast;

  UnderWay() : table(testing::simulate_ladder(3).table), run(take_run(table, table.runs.back().name)) {
    options.targets = {{"run", final_scale(run)}};
    options.resamples = 60;
    forecast = forecast_ladder(table, options);
  }
  std::vector<RunningPoint> follow(size_t steps = 12) const { return follow_run(table, options, forecast, run, steps); }
};

TEST(Running, TheFollowedRunIsNotARung) {
  const UnderWay under_way;
  for (const LadderRun& rung : under_way.table.runs) EXPECT_NE(rung.name, under_way.run.name);
}

TEST(Running, TheForecastEndsNearTheTruthWithNoWiderIntervalThanTheLadders) {
  const UnderWay under_way;
  const std::vector<RunningPoint> points = under_way.follow();
  for (size_t t = 0; t < under_way.forecast.tasks.size(); ++t) {
    const LadderPrediction& ladder = under_way.forecast.predictions[t];
    for (const RunningPoint& point : points) {
      if (point.task != ladder.task) continue;
      EXPECT_LE(point.high - point.low, *ladder.high - *ladder.low + 1e-4);
      if (point.share < 0.99) continue;
      EXPECT_NEAR(point.predicted, final_accuracy(under_way.run, t), 0.015);
    }
  }
}

TEST(Running, CheckpointsAreInOrderAndOfTheRequestedNumber) {
  const UnderWay under_way;
  const auto means = mean_over_tasks(under_way.follow(5), under_way.forecast);
  ASSERT_EQ(means.size(), 5u);
  for (size_t i = 1; i < means.size(); ++i) EXPECT_GT(means[i].tokens, means[i - 1].tokens);
  EXPECT_DOUBLE_EQ(means.back().share, 1);
}

TEST(Running, TheMeanWeighsTasksAsTheForecastDoes) {
  UnderWay under_way;
  const std::vector<RunningPoint> points = under_way.follow(3);
  under_way.forecast.weights = {1, 0, 0, 0};
  const auto means = mean_over_tasks(points, under_way.forecast);
  ASSERT_EQ(means.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_DOUBLE_EQ(means[i].predicted, points[i].predicted);  // the first task's
}

TEST(Running, ATaskWithoutLossesKeepsTheLaddersForecast) {
  UnderWay under_way;
  for (TaskCurve& curve : under_way.forecast.curves[0].curves) curve.direct = DirectLaw{};
  const LadderPrediction& ladder = under_way.forecast.predictions[0];
  for (const RunningPoint& point : under_way.follow()) {
    if (point.task == ladder.task) EXPECT_EQ(point.predicted, ladder.predicted);
    else EXPECT_NE(point.predicted, ladder.predicted);
  }
  for (TaskEnsemble& ensemble : under_way.forecast.curves) {
    for (TaskCurve& curve : ensemble.curves) curve.direct = DirectLaw{};
  }
  EXPECT_THAT(testing::refusal([&] { under_way.follow(); }), HasSubstr("want a checkpoint with a loss"));
}

TEST(Running, OneStepIsTheLastCheckpoint) {
  const auto points = UnderWay().follow(1);
  ASSERT_EQ(points.size(), 4u);
  for (const RunningPoint& point : points) EXPECT_DOUBLE_EQ(point.share, 1);
}

TEST(Running, TheSameSeedGivesTheSamePoints) {
  const UnderWay one, two;
  const auto a = one.follow(), b = two.follow();
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].low, b[i].low);
}

TEST(Running, AnUnknownRunNamesTheNearest) {
  LadderTable table = testing::simulate_ladder(3).table;
  table.runs[0].name = "small";
  EXPECT_THAT(testing::refusal([&] { take_run(table, "smal"); }), HasSubstr("no run 'smal'; the nearest is 'small'"));
}

TEST(Running, RunsOfAnotherSizeOrWithoutCheckpointsAreRefused) {
  UnderWay under_way;
  LadderRun other = under_way.run;
  other.params *= 2;
  EXPECT_THAT(testing::refusal([&] { follow_run(under_way.table, under_way.options, under_way.forecast, other); }),
              HasSubstr("they must be the same run"));
  for (double& tokens : under_way.run.tokens) tokens *= 1e-4;
  EXPECT_THAT(testing::refusal([&] { under_way.follow(); }), HasSubstr("cannot be forecast yet"));
}

TEST(Running, MethodsWithoutIntervalsAreRefused) {
  UnderWay under_way;
  under_way.options.resamples = 0;
  under_way.forecast = forecast_ladder(under_way.table, under_way.options);
  EXPECT_THAT(testing::refusal([&] { under_way.follow(); }), HasSubstr("needs intervals"));
}

}  // namespace
}  // namespace tessera::plan
