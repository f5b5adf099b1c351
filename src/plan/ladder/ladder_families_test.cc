// Families of ladders whose truth departs from the fitted form, and the shipped rungs held out: errors, bias, coverage and
// interval scores of the published fit and of the default method; what more rungs do; how often rankings are right. The
// tables in docs/planning.md are what these print.
#include <gtest/gtest.h>

#include <iostream>
#include <mutex>

#include <fmt/format.h>

#include "plan/ladder/rank.h"
#include "plan/ladder/testing_families.h"
#include "plan/ladder/testing_tables.h"
#include "plan/quantity.h"

namespace tessera::plan {
namespace {

using testing::Departure;
using testing::FamilyOptions;

/// Sums over the targets' tasks, in points.
struct Scores {
  double count = 0, paper = 0, best = 0, bias = 0, held = 0, width = 0, interval_score = 0;

  void add(const LadderForecast& published, const LadderForecast& forecast, const std::vector<double>& measured) {
    for (size_t t = 0; t < measured.size(); ++t) {
      const LadderPrediction& each = forecast.predictions[t];
      const double missed = std::max({0.0, *each.low - measured[t], measured[t] - *each.high});
      ++count;
      paper += 100 * std::abs(published.predictions[t].predicted - measured[t]);
      best += 100 * std::abs(each.predicted - measured[t]);
      bias += 100 * (each.predicted - measured[t]);
      held += missed == 0;
      width += 100 * (*each.high - *each.low);
      interval_score += 100 * (*each.high - *each.low + 10 * missed);  // Gneiting and Raftery 2007, for 80%
    }
  }
  void print(const std::string& name) const {
    std::cout << fmt::format(
        "{:32} paper {:5.2f}  best {:5.2f}  bias {:+5.2f}  80% intervals hold {:.0f}%  width {:4.1f}  score {:5.1f}\n",
        name, paper / count, best / count, bias / count, 100 * held / count, width / count, interval_score / count);
  }
};

Scores scores_of(size_t ladders, const FamilyOptions& how) {
  Scores scores;
  std::mutex guard;
  for_each_on_threads(ladders, 0, [&](size_t i) {
    const auto made = testing::draw_family(20000 + i, how);
    LadderOptions options{.targets = {made.target}, .resamples = 80, .seed = i, .threads = 1};
    const LadderForecast forecast = forecast_ladder(made.table, options);
    options.method = LadderMethod::paper;
    const LadderForecast published = forecast_ladder(made.table, options);
    const std::lock_guard lock(guard);
    scores.add(published, forecast, made.measured);
  });
  return scores;
}

TEST(LadderFamilies, TheShippedRungsHeldOutArePredictedBetterThanByThePublishedFit) {
  const LadderTable& shipped = testing::shipped_table();
  Scores scores;
  for (const HindcastSplit& split : hindcast_splits(all_rungs(shipped))) {
    LadderTable table = shipped;
    table.runs.clear();
    table.targets.clear();
    for (const LadderRun* run : split.learn) table.runs.push_back(*run);
    for (const LadderRun* run : split.predict) table.targets.push_back(*run);
    LadderOptions options{.resamples = 300};
    const LadderForecast forecast = forecast_ladder(table, options);
    options.method = LadderMethod::paper;
    const LadderForecast published = forecast_ladder(table, options);
    std::vector<double> measured;
    for (const LadderPrediction& each : forecast.predictions) measured.push_back(*each.actual);
    scores.add(published, forecast, measured);
  }
  scores.print(fmt::format("shipped rungs, held out ({})", scores.count));
  EXPECT_LT(scores.best, scores.paper);
  EXPECT_GE(scores.held / scores.count, 0.75);
}

TEST(LadderFamilies, IntervalsHoldAndTheDefaultBeatsThePublishedFitWhateverTheTruth) {
  Scores all;
  for (const Departure departure : testing::kDepartures) {
    const Scores scores = scores_of(30, {.departure = departure});
    scores.print(testing::departure_name(departure));
    EXPECT_LT(scores.best, 1.1 * scores.paper) << testing::departure_name(departure);
    EXPECT_LT(std::abs(scores.bias / scores.count), 1.5);
    all.count += scores.count;
    all.paper += scores.paper;
    all.best += scores.best;
    all.held += scores.held;
  }
  EXPECT_LT(all.best, all.paper);
  EXPECT_GE(all.held / all.count, 0.72);
  EXPECT_LE(all.held / all.count, 0.88);
}

TEST(LadderFamilies, SparseEvaluationsAndCeilingsAreNotAveragedIntoLies) {
  for (const size_t checkpoints : {1, 2, 4, 10}) {
    const Scores scores = scores_of(20, {.departure = Departure::kink, .checkpoints = checkpoints});
    scores.print(fmt::format("kink, {} evaluations a run", checkpoints));
    EXPECT_GE(scores.held / scores.count, 0.65);
  }
  const Scores scores = scores_of(20, {.ceiling = 0.9});
  scores.print("ceiling of .90");
  EXPECT_GE(scores.held / scores.count, 0.65);
}

/// Mean error over the tasks of one ladder, in points, against the accuracy without the luck of questions.
double error_of(const testing::FamilyLadder& made) {
  const LadderOptions options{.targets = {made.target}, .resamples = 0, .threads = 1};
  const LadderForecast forecast = forecast_ladder(made.table, options);
  double sum = 0;
  for (size_t t = 0; t < made.expected.size(); ++t) {
    sum += 100 * std::abs(forecast.predictions[t].predicted - made.expected[t]) /
           static_cast<double>(made.expected.size());
  }
  return sum;
}

TEST(LadderFamilies, RungsNearerToTheTargetMakeThePredictionBetter) {
  double without = 0, with = 0, better = 0;
  constexpr size_t ladders = 200;
  std::mutex guard;
  for_each_on_threads(ladders, 0, [&](size_t i) {
    FamilyOptions how{.departure = testing::kDepartures[i % 5], .checkpoints = 6, .target_times = 4};
    const double more = error_of(testing::draw_family(30000 + i, how));
    how.largest_rungs_less = 1;
    const double fewer = error_of(testing::draw_family(30000 + i, how));
    const std::lock_guard lock(guard);
    without += fewer / ladders;
    with += more / ladders;
    better += more < fewer;
  });
  std::cout << fmt::format("without the largest size {:.2f}, with it {:.2f} points; better in {:.0f} of {} ladders\n",
                           without, with, better, ladders);
  EXPECT_LT(with, without);
  EXPECT_GE(better / ladders, 0.6);
}

TEST(LadderFamilies, RankingsAreRightAsOftenAsTheyClaim) {
  double right = 0, claimed = 0, sure = 0, sure_right = 0;
  constexpr size_t pairs = 60;
  std::mutex guard;
  for_each_on_threads(pairs, 0, [&](size_t i) {
    Rng rng(i);
    FamilyOptions plain{.departure = testing::kDepartures[i % 5], .checkpoints = 6}, other = plain;
    other.data_term = std::exp(0.3 * normal(rng));
    other.luck = 1;
    const auto a = testing::draw_family(40000 + i, plain), b = testing::draw_family(40000 + i, other);
    const LadderOptions options{.targets = {a.target}, .resamples = 60, .threads = 1};
    const RankedPair pair = rank_recipes({{"a", a.table}, {"b", b.table}}, options).pairs.front();
    double difference = 0;
    for (size_t t = 0; t < a.expected.size(); ++t) difference += a.expected[t] - b.expected[t];
    const bool is_right = (pair.first == "a") == (difference > 0);
    const std::lock_guard lock(guard);
    right += is_right;
    claimed += pair.probability;
    sure += pair.probability > 0.8;
    sure_right += pair.probability > 0.8 && is_right;
  });
  std::cout << fmt::format(
      "{:.0f} of {} pairs ranked right, {:.1f} claimed; of {:.0f} claimed at more than 80%, {:.0f}\n", right, pairs,
      claimed, sure, sure_right);
  EXPECT_GE(right / pairs, 0.7);
  EXPECT_NEAR(right / pairs, claimed / pairs, 0.15);
}

}  // namespace
}  // namespace tessera::plan
