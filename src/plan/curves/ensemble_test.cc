// Ensembles: a mean of curves, and resamples that depend on the seed alone.
#include "plan/curves/prediction_error.h"

#include <gmock/gmock.h>

#include "plan/curves/random.h"
#include "plan/ladder/testing.h"
#include "plan/ladder/testing_tables.h"

namespace tessera::plan {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

constexpr RunScale kTarget = {7e9, 4e12, 6 * 7e9 * 4e12};

/// A small simulated ladder and the ensemble of its first task.
struct FittedLadder {
  LadderTable table = testing::simulate_ladder(1, {.tasks = 1, .checkpoints = 12}).table;
  Rungs rungs = all_rungs(table);
  LadderTask task = {0, "task0", range_of(rungs, 0, "task0")};
  TaskEnsemble ensemble = fit_ensemble(rungs, task, {{{Feature::bpb}, 0.75}, {{Feature::loss, 0.5}, 0.25}});

  std::vector<double> samples(uint64_t seed, size_t count) const {
    std::vector<double> found;
    for (size_t i = 0; i < count; ++i) {
      found.push_back(resampled_accuracies(ensemble, {kTarget}, Rng(seed).split(i))[0]);
    }
    return found;
  }
};

TEST(Ensemble, FarFromTheRungsAPredictionIsTheMixtureOfItsCurves) {
  const FittedLadder fitted;
  const auto& curves = fitted.ensemble.curves;
  const RunScale far = {7e10, 4e14, 6 * 7e10 * 4e14};
  EXPECT_NEAR(fitted.ensemble.accuracy_at(far), 0.75 * curves[0].accuracy_at(far) + 0.25 * curves[1].accuracy_at(far),
              1e-4);
  EXPECT_GT(fitted.ensemble.nearby.novelty(far), 0.99);
}

TEST(Ensemble, AtARungAPredictionIsDrawnToWhatWasMeasured) {
  FittedLadder fitted;
  for (LadderRun& run : fitted.table.runs) {  // 3 points above every curve where runs are largest
    if (run.params > 1e9) {
      for (double& accuracy : run.tasks[0].acc) accuracy += 0.03;
    }
  }
  const LadderRun& rung = fitted.table.runs.back();
  TaskEnsemble shifted = fitted.ensemble;
  shifted.nearby = NearbyRungs(fitted.rungs, 0);
  const RunScale at = final_scale(rung);
  EXPECT_LT(shifted.nearby.novelty(at), 0.6);
  EXPECT_GT(shifted.accuracy_at(at), fitted.ensemble.accuracy_at(at) + 0.01);
  EXPECT_LT(shifted.accuracy_at(at), fitted.ensemble.accuracy_at(at) + 0.03);
}

TEST(Ensemble, ResamplesDependOnTheSeedAlone) {
  const FittedLadder fitted, again;
  EXPECT_EQ(fitted.samples(1, 5), again.samples(1, 5));
  EXPECT_NE(fitted.samples(1, 5), fitted.samples(2, 5));
}

TEST(Ensemble, ResamplesScatterAroundThePrediction) {
  const FittedLadder fitted;
  std::vector<double> samples = fitted.samples(1, 100);
  EXPECT_THAT(samples, Each(::testing::AllOf(::testing::Ge(0), ::testing::Le(1))));
  EXPECT_NEAR(quantile(samples, 0.5), fitted.ensemble.accuracy_at(kTarget), 0.03);
  EXPECT_GT(quantile(samples, 0.9), quantile(samples, 0.1));
}

TEST(Ensemble, MoreResamplesConverge) {
  const FittedLadder fitted;
  const auto width = [&](uint64_t seed, size_t count) {
    const Spread spread = spread_of(fitted.samples(seed, count), 0.5, {}, 0.8);
    return spread.high - spread.low;
  };
  const double much = width(9, 1500);
  double few_error = 0, many_error = 0;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    few_error += std::abs(width(seed, 15) - much);
    many_error += std::abs(width(seed, 240) - much);
  }
  EXPECT_LT(many_error, few_error);
}

TEST(Ensemble, TooFewRungsAreNamedWithTheTaskAndTheFeature) {
  const LadderTable table = testing::simulate_ladder(1, {.sizes = {190e6}, .lengths = {1, 2, 5}, .tasks = 1}).table;
  EXPECT_EQ(testing::refusal([&] {
              fit_ensemble(all_rungs(table), {0, "mmlu", {}}, {{{Feature::bpb}}});
            }),
            "[plan] too few rungs for mmlu: got 3 runs with 'bpb' measured, want at least 4");
}

TEST(Quantile, InterpolatesLinearlyBetweenOrderStatistics) {
  std::vector<double> values = {3, 1, 2, 4};
  EXPECT_EQ(quantile(values, 0), 1);
  EXPECT_EQ(quantile(values, 1), 4);
  EXPECT_DOUBLE_EQ(quantile(values, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile(values, 0.1), 1.3);
  EXPECT_THAT(values, ElementsAre(1, 2, 3, 4));
  std::vector<double> one = {7};
  EXPECT_EQ(quantile(one, 0.9), 7);
}

TEST(Spread, IntervalsAreQuantileDistancesAroundThePointTimesTheStretch) {
  std::vector<double> samples;
  for (int i = 0; i <= 100; ++i) samples.push_back(0.4 + 0.002 * i);  // 0.4 ... 0.6
  const Spread plain = spread_of(samples, 0.55, {}, 0.8), wide = spread_of(samples, 0.55, {}, 0.8, 2);
  EXPECT_EQ(plain.point, 0.55);
  EXPECT_NEAR(plain.low, 0.55 - 0.8 * 0.08, 1e-12);  // eight tenths of the resamples' distance
  EXPECT_NEAR(plain.high, 0.55 + 0.8 * 0.08, 1e-12);
  EXPECT_NEAR(wide.low, 0.55 - 1.6 * 0.08, 1e-12);
  EXPECT_NEAR(wide.high, 0.55 + 1.6 * 0.08, 1e-12);
}

TEST(ErrorSources, ANoisyRecipeAndAFarTargetAreLessCertain) {
  const FittedLadder fitted;
  const double predicted = fitted.ensemble.accuracy_at(kTarget);
  const RunScale farther = {3 * kTarget.params, 3 * kTarget.tokens, 9 * kTarget.flops};
  const ErrorSources near = error_sources(fitted.ensemble, kTarget, predicted);
  const ErrorSources far = error_sources(fitted.ensemble, farther, predicted);
  EXPECT_GT(near.form, 0.005);
  EXPECT_GT(far.form, near.form);
  const RunScale longer = {kTarget.params / 30, kTarget.tokens, kTarget.flops / 30};  // 17,000 tokens a parameter
  const double at_longer = fitted.ensemble.accuracy_at(longer);
  TaskEnsemble long_rungs = fitted.ensemble;
  long_rungs.longest = 1e6;
  EXPECT_GT(error_sources(fitted.ensemble, longer, at_longer).form, error_sources(long_rungs, longer, at_longer).form);
  TaskEnsemble noisy = fitted.ensemble;
  for (TaskCurve& curve : noisy.curves) curve.scatter = 0.05;
  EXPECT_GT(error_sources(noisy, kTarget, predicted).noise, 2 * near.noise);
}

TEST(ErrorSources, NoiseFollowsTheBinomialDistribution) {
  FittedLadder fitted;
  fitted.ensemble.largest_accuracy = 0.5;
  for (TaskCurve& curve : fitted.ensemble.curves) curve.scatter = 0;
  const double even = error_sources(fitted.ensemble, kTarget, 0.5).noise;
  EXPECT_NEAR(even, fitted.ensemble.scatter, 1e-12);
  EXPECT_NEAR(error_sources(fitted.ensemble, kTarget, 0.9).noise, 0.6 * even, 1e-12);  // sqrt(.9 * .1) is .3, not .5
}

TEST(Spread, IndependentSourcesOfErrorAddInSquares) {
  std::vector<double> samples;
  for (int i = 0; i <= 100; ++i) samples.push_back(0.4 + 0.002 * i);
  const Spread both = spread_of(samples, 0.5, {.form = 0.03, .noise = 0.04}, 0.8);
  EXPECT_NEAR(both.high - 0.5, std::hypot(0.8 * 0.08, normal_tail(0.8) * 0.05), 1e-12);
  EXPECT_NEAR(0.5 - both.low, both.high - 0.5, 1e-12);
}

TEST(Spread, AnIntervalStaysBetweenZeroAndOne) {
  const std::vector<double> samples = {0, 0.25, 0.5, 0.75, 1};
  const Spread low = spread_of(samples, 0.05, {}, 0.8, 4), high = spread_of(samples, 0.95, {}, 0.8, 4);
  EXPECT_EQ(low.low, 0);
  EXPECT_EQ(high.high, 1);
  EXPECT_LE(low.high, 1);
  EXPECT_GE(high.low, 0);
}

TEST(NormalTail, LeavesTheRequestedShareBeyondIt) {
  EXPECT_NEAR(normal_tail(0.8), 1.2815515655, 1e-9);
  EXPECT_NEAR(normal_tail(0.95), 1.9599639845, 1e-9);
}

}  // namespace
}  // namespace tessera::plan
