// Hindcasts: what is held out is larger than what is learnt from, and intervals are stretched to what was missed.
#include "plan/curves/hindcast.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <set>

#include "plan/ladder/testing.h"

namespace tessera::plan {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Measure = double (*)(const LadderRun&);

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double size_of(const LadderRun& run) { return run.params; }
double length_of(const LadderRun& run) { return run.final_tokens() / run.params; }
double compute_of(const LadderRun& run) { return run.final_flops(); }

double largest(const Rungs& rungs, Measure measure) {
  double most = 0;
  for (const LadderRun* run : rungs) most = std::max(most, measure(*run));
  return most;
}

double smallest(const Rungs& rungs, Measure measure) {
  double least = std::numeric_limits<double>::infinity();
  for (const LadderRun* run : rungs) least = std::min(least, measure(*run));
  return least;
}

void expect_below(const HindcastSplit& split, Measure measure) {
  EXPECT_LT(largest(split.learn, measure), smallest(split.predict, measure)) << split.name;
}

LadderTable ladder_of(std::vector<double> sizes, std::vector<double> lengths) {
  return testing::simulate_ladder(
             1, {.sizes = std::move(sizes), .lengths = std::move(lengths), .tasks = 1, .checkpoints = 6})
      .table;
}

Hindcast hindcast(size_t split, double predicted, double measured, double reach = 0.01) {
  return {split, 0, nullptr, predicted, measured, kNan, predicted - reach, predicted + reach};
}

/// A form that was off by so much in the only hindcast of each task.
JudgedForm judged(const Form& form, const std::vector<double>& off_by_task) {
  JudgedForm result{.form = form};
  for (const double off : off_by_task) {
    result.hindcasts.push_back({});
    if (!std::isnan(off)) result.hindcasts.back().push_back(hindcast(0, .5, .5 + off));
  }
  return result;
}

TEST(HindcastSplits, NoRunIsBothFittedAndPredicted) {
  const LadderTable table = testing::simulate_ladder(1, {.checkpoints = 6}).table;
  const auto splits = hindcast_splits(all_rungs(table));
  EXPECT_THAT(splits, SizeIs(5));
  for (const HindcastSplit& split : splits) {
    const std::set<const LadderRun*> learnt(split.learn.begin(), split.learn.end());
    EXPECT_THAT(split.predict, ::testing::Not(IsEmpty()));
    for (const LadderRun* run : split.predict) EXPECT_EQ(learnt.count(run), 0u) << split.name;
  }
}

TEST(HindcastSplits, FittedRunsAreSmallerInTheQuantityThatTheSplitIsNamedAfter) {
  const LadderTable table = testing::simulate_ladder(1, {.checkpoints = 6}).table;
  for (const HindcastSplit& split : hindcast_splits(all_rungs(table))) {
    if (split.name.find("size") != std::string::npos) expect_below(split, size_of);
    if (split.name.find("long") != std::string::npos) expect_below(split, length_of);
    if (split.name.find("cheap") != std::string::npos) expect_below(split, compute_of);
  }
}

TEST(HindcastSplits, EverySplitLeavesEnoughRungsToFit) {
  const LadderTable table = testing::simulate_ladder(1, {.checkpoints = 6}).table;
  for (const HindcastSplit& split : hindcast_splits(all_rungs(table))) {
    EXPECT_GE(split.learn.size(), 6u);
    EXPECT_LT(smallest(split.learn, size_of), largest(split.learn, size_of));
    EXPECT_LT(smallest(split.learn, length_of), largest(split.learn, length_of));
  }
}

TEST(HindcastSplits, ASmallLadderHasNoSplits) {
  const LadderTable few = ladder_of({190e6, 370e6}, {1, 2}), one_size = ladder_of({190e6}, {1, 2, 3, 4, 5, 6, 7, 8}),
                    one_length = ladder_of({1e8, 2e8, 3e8, 4e8, 5e8, 6e8, 7e8, 8e8}, {1});
  for (const LadderTable* table : {&few, &one_size, &one_length})
    EXPECT_THAT(hindcast_splits(all_rungs(*table)), IsEmpty());
}

TEST(HindcastError, EverySplitHasTheSameWeightForAnyNumberOfRuns) {
  EXPECT_DOUBLE_EQ(hindcast_error({hindcast(0, .5, .6), hindcast(1, .5, .2), hindcast(1, .5, .8), hindcast(1, .5, .2)}),
                   0.2);
  EXPECT_TRUE(std::isnan(hindcast_error({})));
}

TEST(HindcastForm, NoiselessRungsAreHindcastWithinAPointAndAHalf) {
  const auto made =
      testing::simulate_ladder(2, {.tasks = 1, .run_noise = 0, .checkpoint_noise = 0, .accuracy_noise = 0});
  const auto splits = hindcast_splits(all_rungs(made.table));
  const LadderTask task{0, "task0", range_of(all_rungs(made.table), 0, "task0")};
  EXPECT_LT(hindcast_error(hindcast_form(splits, task, {Feature::bpb})), 0.015);
}

TEST(WeighForms, AFormCountsAsTheInverseSquareOfItsSquaredError) {
  const auto forms = weigh_forms({judged({Feature::bpb}, {.04}), judged({Feature::loss}, {.05})}, 0, {true, true});
  ASSERT_THAT(forms, SizeIs(2));
  const double least = .003 * .003;
  EXPECT_NEAR(forms[0].share / forms[1].share, std::pow((.05 * .05 + least) / (.04 * .04 + least), 2), 1e-9);
  EXPECT_NEAR(forms[0].share + forms[1].share, 1, 1e-12);
}

TEST(WeighForms, ATaskBorrowsFromTheOthers) {
  const std::vector<JudgedForm> all = {judged({Feature::bpb}, {.02, .01}), judged({Feature::loss}, {.02, .03})};
  const auto forms = weigh_forms(all, 0, {true, true});
  ASSERT_THAT(forms, SizeIs(2));
  EXPECT_EQ(forms[0].form, Form{Feature::bpb});
  EXPECT_GT(forms[0].share, .6);  // alike on the task itself
}

TEST(WeighForms, PoorAndUnmeasuredFormsAreLeftOutAndFourAreKeptAtMost) {
  std::vector<JudgedForm> all = {judged({Feature::bpb}, {.01}), judged({Feature::loss}, {.05}),
                                 judged({Feature::ce}, {.001})};
  const auto forms = weigh_forms(all, 0, {true, true, false});
  ASSERT_THAT(forms, SizeIs(1));
  EXPECT_EQ(forms[0].form, Form{Feature::bpb});
  for (const double skip : {.2, .3, .4, .5, .6}) all.push_back(judged({Feature::bpb, skip}, {.01}));
  EXPECT_THAT(weigh_forms(all, 0, std::vector<bool>(all.size(), true)), SizeIs(::testing::Le(4u)));
}

TEST(WeighForms, WithoutHindcastsThePlainFormsOfLossesShareEqually) {
  const std::vector<JudgedForm> all = {judged({Feature::bpb}, {kNan}), judged({Feature::bpb, .5}, {kNan}),
                                       judged({Feature::loss}, {kNan}), judged({Feature::ce}, {kNan}),
                                       judged({Feature::acc}, {kNan})};
  const auto forms = weigh_forms(all, 0, std::vector<bool>(5, true));
  ASSERT_THAT(forms, SizeIs(2));
  EXPECT_TRUE(forms[0].form == Form{Feature::bpb} && forms[1].form == Form{Feature::loss});
  EXPECT_EQ(forms[0].share, .5);
  const auto alone = weigh_forms({judged({Feature::acc}, {kNan})}, 0, {true});
  ASSERT_THAT(alone, SizeIs(1));
  EXPECT_EQ(alone[0].form.feature, Feature::acc);
  EXPECT_THAT(weigh_forms({}, 0, {}), IsEmpty());
}

TEST(IntervalScale, ManySplitsAreCoveredNearlyAsRequested) {
  Rng rng(3);
  std::vector<Hindcast> hindcasts;
  for (size_t i = 0; i < 400; ++i) hindcasts.push_back(hindcast(i, .5, .5 + rng.uniform(-.02, .02)));
  for (const double coverage : {.5, .8, .9}) {
    EXPECT_NEAR(interval_scale(hindcasts, coverage), 2 * coverage, .15);
  }
}

TEST(IntervalScale, EverySplitHasTheSameWeight) {
  std::vector<Hindcast> hindcasts = {hindcast(1, .5, .53)};  // alone in its split: half of all weight
  for (int i = 0; i < 30; ++i) hindcasts.push_back(hindcast(0, .5, .51));
  EXPECT_NEAR(interval_scale(hindcasts, .8), std::pow(3, 2. / 3), 1e-9);  // two splits against the one believed
}

TEST(IntervalScale, ScaleStaysWithinItsBoundsAndIsLargeWithoutHindcasts) {
  std::vector<Hindcast> far, near;
  for (size_t i = 0; i < 40; ++i) {
    far.push_back(hindcast(i, .5, .9));
    near.push_back(hindcast(i, .5, .5));
  }
  EXPECT_EQ(interval_scale(far, .8), 3);
  EXPECT_EQ(interval_scale(near, .8), 0.25);
  EXPECT_GT(interval_scale({}, .8), 1);
}

TEST(ErrorCorrelation, IsHighWhereTheTasksOfARunMissTogether) {
  const LadderTable table = ladder_of({1e8, 2e8}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  std::vector<Hindcast> together, apart;
  for (size_t r = 0; r < table.runs.size(); ++r) {
    for (size_t task = 0; task < 2; ++task) {
      const double sign = r % 2 ? 1 : -1, own = (r / 2) % 2 == task ? 1 : -1;
      together.push_back(hindcast(0, .5, .5 + .01 * sign));
      apart.push_back(hindcast(0, .5, .5 + .01 * sign * own));
      together.back().run = apart.back().run = &table.runs[r];
    }
  }
  EXPECT_GT(error_correlation(together), .8);
  EXPECT_EQ(error_correlation(apart), 0);
  EXPECT_NEAR(error_correlation({}), .3, 1e-12);
}

TEST(Predictability, ATaskThatDoesNotRiseIsNotPredictable) {
  LadderTable table = ladder_of({1e8, 2e8, 4e8}, {1, 2, 5});
  const LadderTask task{0, "task0", {}};
  EXPECT_TRUE(predictability(all_rungs(table), task, .01, {}).is_predictable);
  for (size_t r = 0; r < table.runs.size(); ++r) {
    for (double& accuracy : table.runs[r].tasks[0].acc) accuracy = .25 + (r % 2 ? .01 : -.01);
  }
  const Predictability flat = predictability(all_rungs(table), task, .01, {});
  EXPECT_FALSE(flat.is_predictable);
  EXPECT_THAT(flat.why, ::testing::HasSubstr("points above the cheapest"));
}

TEST(Predictability, AForecastNoBetterThanTheLargestRungIsNotBelieved) {
  const LadderTable table = ladder_of({1e8, 2e8, 4e8}, {1, 2, 5});
  Hindcast wrong = hindcast(0, .5, .6), right = hindcast(0, .5, .51);
  wrong.baseline = .55;
  right.baseline = .4;
  const Predictability bad = predictability(all_rungs(table), {0, "task0", {}}, .001, {wrong});
  EXPECT_FALSE(bad.is_predictable);
  EXPECT_NEAR(bad.skill, 1 - .01 / .0025, 1e-9);
  EXPECT_TRUE(predictability(all_rungs(table), {0, "task0", {}}, .001, {right}).is_predictable);
}

}  // namespace
}  // namespace tessera::plan
