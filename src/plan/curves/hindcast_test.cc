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
  return {split, 0, nullptr, predicted, measured, predicted - reach, predicted + reach};
}

bool same_form(const Form& a, const Form& b) { return a.feature == b.feature && a.skip == b.skip; }

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

TEST(HindcastForm, NoiselessRungsAreHindcastWithinAPoint) {
  const auto made =
      testing::simulate_ladder(2, {.tasks = 1, .run_noise = 0, .checkpoint_noise = 0, .accuracy_noise = 0});
  const auto splits = hindcast_splits(all_rungs(made.table));
  EXPECT_LT(hindcast_error(hindcast_form(splits, 0, "task0", {Feature::bpb})), 0.01);
}

TEST(ChooseForms, TheFirstFormOfAFeatureIsKeptUnlessALaterOneIsClearlyBetter) {
  const auto slightly = choose_forms({{{Feature::bpb, .1}, .0100}, {{Feature::bpb, .5}, .0098}});
  ASSERT_THAT(slightly, SizeIs(1));
  EXPECT_EQ(slightly[0].skip, .1);
  const auto clearly = choose_forms({{{Feature::bpb, .1}, .0100}, {{Feature::bpb, .5}, .0090}});
  ASSERT_THAT(clearly, SizeIs(1));
  EXPECT_EQ(clearly[0].skip, .5);
}

TEST(ChooseForms, FeaturesNearTheBestAreKept) {
  const auto forms =
      choose_forms({{{Feature::bpb, .1}, .010}, {{Feature::loss, .1}, .0124}, {{Feature::ce, .1}, .0126}});
  ASSERT_THAT(forms, SizeIs(2));
  EXPECT_TRUE(same_form(forms[0], {Feature::bpb, .1}) && same_form(forms[1], {Feature::loss, .1}));
}

TEST(ChooseForms, WithoutHindcastsEveryFeatureButTheCrossEntropyOverChoicesIsKept) {
  const auto forms = choose_forms(
      {{{Feature::bpb, .1}, kNan}, {{Feature::bpb, .5}, kNan}, {{Feature::loss, .1}, kNan}, {{Feature::ce, .1}, kNan}});
  ASSERT_THAT(forms, SizeIs(2));
  EXPECT_TRUE(same_form(forms[0], {Feature::bpb, .1}) && same_form(forms[1], {Feature::loss, .1}));
  EXPECT_THAT(choose_forms({{{Feature::ce, .1}, kNan}}), SizeIs(1));
  EXPECT_THAT(choose_forms({}), IsEmpty());
}

TEST(Widening, TheRequestedShareIsCovered) {
  Rng rng(3);
  std::vector<Hindcast> hindcasts;
  for (size_t i = 0; i < 50; ++i) hindcasts.push_back(hindcast(0, .5, .5 + rng.uniform(-.03, .03)));
  for (const double coverage : {.5, .8, .9}) {
    const double widen = widening(hindcasts, coverage);
    const auto covered = std::count_if(hindcasts.begin(), hindcasts.end(), [&](const Hindcast& each) {
      return std::abs(each.measured - each.predicted) <= widen * (each.high - each.predicted) * (1 + 1e-9);
    });
    EXPECT_GE(static_cast<double>(covered), 50 * coverage - 1e-6);
    EXPECT_LE(static_cast<double>(covered), 50 * coverage + 1);
  }
}

TEST(Widening, EverySplitHasTheSameWeight) {
  std::vector<Hindcast> hindcasts = {hindcast(1, .5, .53)};  // alone in its split: half of all weight
  for (int i = 0; i < 30; ++i) hindcasts.push_back(hindcast(0, .5, .51));
  EXPECT_NEAR(widening(hindcasts, .8), 3, 1e-9);
}

TEST(Widening, StretchStaysWithinItsBoundsAndIsLargeWithoutHindcasts) {
  EXPECT_EQ(widening({hindcast(0, .5, .9)}, .8), 4);
  EXPECT_EQ(widening({hindcast(0, .5, .5)}, .8), 0.85);
  EXPECT_EQ(widening({}, .8), 1.5);
}

TEST(Widening, AnUncertainMeasurementNeedsLessStretch) {
  Hindcast sure = hindcast(0, .5, .53), unsure = sure;
  unsure.noise = 0.01;
  EXPECT_LT(widening({unsure}, .8), widening({sure}, .8));
}

}  // namespace
}  // namespace tessera::plan
