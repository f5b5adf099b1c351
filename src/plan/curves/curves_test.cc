// The fits against laws that are known: noiseless points give their constants back, and no step away is better.
#include "plan/curves/curves.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "core/rng.h"

namespace tessera::plan {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

const LossLaw kLaw{.log_a = std::log(38.0), .alpha = 0.23, .log_b = std::log(100.0), .beta = 0.24, .e = 0.45};

/// Points of a 4 x 4 ladder; `noise` shakes the logarithm of each loss.
std::vector<LossPoint> ladder_points(const LossLaw& law, double noise = 0) {
  Rng rng(3);
  std::vector<LossPoint> points;
  for (const double n : {190e6, 370e6, 760e6, 1.3e9}) {
    for (const double length : {20, 40, 100, 200}) {
      points.push_back({n, n * length, law.at(n, n * length) * std::exp(noise * rng.uniform(-1, 1))});
    }
  }
  return points;
}

std::vector<AccuracyPoint> accuracy_points(const Sigmoid& sigmoid, double noise = 0) {
  Rng rng(4);
  std::vector<AccuracyPoint> points;
  for (int i = 0; i < 60; ++i) {
    const double loss = 0.4 + 0.02 * i;
    points.push_back({loss, sigmoid.at(loss) + noise * rng.uniform(-1, 1)});
  }
  return points;
}

template <class Points> Points shuffled(Points points) {
  Rng rng(5);
  for (size_t i = points.size() - 1; i > 0; --i) std::swap(points[i], points[rng.below(i + 1)]);
  return points;
}

double huber(double residual, double delta) {
  const double size = std::abs(residual);
  return size < delta ? size * size / 2 : delta * (size - delta / 2);
}

/// The paper's objective, written a second time.
double loss_objective(const std::vector<LossPoint>& points, const LossLaw& law) {
  double sum = 0;
  for (const LossPoint& p : points) sum += huber(std::log(law.at(p.n, p.d)) - std::log(p.loss), 1e-3);
  return sum;
}

double sigmoid_objective(const std::vector<AccuracyPoint>& points, const Sigmoid& sigmoid) {
  double sum = 0;
  for (const AccuracyPoint& p : points) sum += std::pow(sigmoid.at(p.loss) - p.accuracy, 2) / 2;
  return sum;
}

/// Every parameter of `law` moved by a little either way makes `objective` no smaller.
template <class Law, class Objective>
void expect_least(const Law& law, const std::vector<double Law::*>& parameters, const Objective& objective) {
  const double least = objective(law);
  for (size_t i = 0; i < parameters.size(); ++i) {
    for (const double step : {-1e-4, -1e-6, 1e-6, 1e-4}) {
      Law moved = law;
      moved.*parameters[i] *= 1 + step;
      EXPECT_GE(objective(moved), least - 1e-12) << "parameter " << i << ", step " << step;
    }
  }
}

void expect_near(const LossLaw& got, const LossLaw& want, double tolerance) {
  EXPECT_NEAR(got.log_a, want.log_a, tolerance * want.log_a);
  EXPECT_NEAR(got.alpha, want.alpha, tolerance);
  EXPECT_NEAR(got.e, want.e, tolerance);
  if (std::isinf(want.log_b)) return;
  EXPECT_NEAR(got.log_b, want.log_b, tolerance * want.log_b);
  EXPECT_NEAR(got.beta, want.beta, tolerance);
}

void expect_near(const Sigmoid& got, const Sigmoid& want, double tolerance) {
  EXPECT_NEAR(got.a, want.a, tolerance);
  EXPECT_NEAR(got.l0, want.l0, tolerance);
  EXPECT_NEAR(got.k, want.k, tolerance * want.k);
  EXPECT_NEAR(got.b, want.b, tolerance);
}

TEST(Laws, NoiselessLossesGiveTheLossLawBack) {
  const auto fit = fit_loss_law(ladder_points(kLaw));
  expect_near(fit.law, kLaw, 1e-6);
  EXPECT_THAT(fit.on_bound, IsEmpty());
}

TEST(Laws, NoiselessLossesGiveTheComputeLawBack) {
  const LossLaw law{.log_a = std::log(50.0), .alpha = 0.12, .e = 0.5};
  std::vector<LossPoint> points;
  for (double flops = 1e19; flops < 1e22; flops *= 1.6) points.push_back({flops, 0, law.size_term(flops) + law.e});
  expect_near(fit_compute_law(points).law, law, 1e-6);
}

TEST(Laws, NoiselessAccuraciesGiveTheSigmoidBack) {
  const Sigmoid sigmoid{-0.7, 0.75, 6, 0.95};
  expect_near(fit_sigmoid(accuracy_points(sigmoid), 0.25).law, sigmoid, 1e-6);
}

TEST(Laws, NoiselessAccuraciesGiveTheLogSigmoidBack) {
  const Sigmoid sigmoid{-0.2, 0.7, 4, 1, true};
  const auto points = accuracy_points(sigmoid);
  const Sigmoid law = fit_log_sigmoid(points).law;  // the search stops early by design: the curve is what must agree
  for (const AccuracyPoint& point : points) EXPECT_NEAR(law.at(point.loss), point.accuracy, 1e-3);
}

TEST(Laws, NoiselessAccuraciesGiveTheSingleStepBack) {
  const SingleStepLaw law{{.log_a = 4, .alpha = 0.2, .log_b = 5, .beta = 0.22, .e = -0.5}, -0.7, 0.9};
  std::vector<LossPoint> points;
  for (LossPoint point : ladder_points(kLaw)) {
    point.loss = law.at(point.n, point.d);
    points.push_back(point);
  }
  const SingleStepLaw fitted = fit_single_step(points, 0.25).law;  // its constants trade against each other
  for (const LossPoint& point : points) EXPECT_NEAR(fitted.at(point.n, point.d), point.loss, 1e-6);
}

TEST(Laws, AFittedLossLawIsALocalMinimum) {
  const auto points = ladder_points(kLaw, 0.003);
  const auto fit = fit_loss_law(points);
  const auto objective = [&](const LossLaw& law) { return loss_objective(points, law); };
  EXPECT_NEAR(fit.objective, objective(fit.law), 1e-15);
  expect_least(fit.law, {&LossLaw::log_a, &LossLaw::alpha, &LossLaw::log_b, &LossLaw::beta, &LossLaw::e}, objective);
}

TEST(Laws, AFittedSigmoidIsALocalMinimum) {
  const auto points = accuracy_points({-0.7, 0.75, 6, 0.95}, 0.01);
  const auto fit = fit_sigmoid(points, 0.25);
  const auto objective = [&](const Sigmoid& sigmoid) { return sigmoid_objective(points, sigmoid); };
  EXPECT_NEAR(fit.objective, objective(fit.law), 1e-12);
  expect_least(fit.law, {&Sigmoid::a, &Sigmoid::l0, &Sigmoid::k, &Sigmoid::b}, objective);
}

TEST(Laws, AParameterThatEndsOnABoundIsNamed) {
  LossLaw steep = kLaw;
  steep.e = -0.2;  // what no fit may say
  EXPECT_THAT(fit_loss_law(ladder_points(steep)).on_bound, Contains("E"));
  EXPECT_THAT(fit_sigmoid(accuracy_points({-0.9, 0.75, 6, 1.2}), 0.25).on_bound, Contains("b"));
  std::vector<LossPoint> falling;
  for (double flops = 1e19; flops < 1e22; flops *= 2) falling.push_back({flops, 0, 1e26 * std::pow(flops, -1.3)});
  EXPECT_THAT(fit_compute_law(falling).on_bound, Contains("alpha"));
}

TEST(Laws, FittingIsDeterministic) {
  const auto points = ladder_points(kLaw, 0.003);
  const LossLaw once = fit_loss_law(points).law, again = fit_loss_law(points).law;
  EXPECT_EQ(once.log_a, again.log_a);
  EXPECT_EQ(once.beta, again.beta);
  const auto checkpoints = accuracy_points({-0.7, 0.75, 6, 0.95}, 0.01);
  EXPECT_EQ(fit_sigmoid(checkpoints, 0.25).law.k, fit_sigmoid(checkpoints, 0.25).law.k);
}

TEST(Laws, TheOrderOfPointsDoesNotMatter) {
  const auto points = ladder_points(kLaw, 0.003);
  const LossLaw once = fit_loss_law(points).law, again = fit_loss_law(shuffled(points)).law;
  EXPECT_NEAR(once.at(7e9, 4e12), again.at(7e9, 4e12), 1e-9);
  const auto checkpoints = accuracy_points({-0.7, 0.75, 6, 0.95}, 0.01);
  const Sigmoid curve = fit_sigmoid(checkpoints, 0.25).law, same = fit_sigmoid(shuffled(checkpoints), 0.25).law;
  EXPECT_NEAR(curve.at(0.3), same.at(0.3), 1e-9);
}

TEST(Laws, AWeightOfTwoEqualsThePointTwice) {
  auto weighted = ladder_points(kLaw, 0.003), doubled = weighted;
  weighted[3].weight = 2;
  doubled.push_back(doubled[3]);
  EXPECT_NEAR(fit_loss_law(weighted).objective, fit_loss_law(doubled).objective, 1e-9);
}

TEST(Laws, APriorKeepsExponentsNearItsCentreWherePointsSayLittle) {
  const std::vector<LossPoint> three = {{2e8, 4e9, 1.5}, {4e8, 8e9, 1.4}, {8e8, 16e9, 1.32}};
  const auto fit = fit_loss_law(three, {.delta = 1, .noise = 0.005});
  EXPECT_GT(fit.law.alpha, 0.1);
  EXPECT_LT(fit.law.alpha, 0.6);
  EXPECT_GT(fit.law.beta, 0.1);
  EXPECT_LT(fit.law.beta, 0.6);
}

TEST(Minimize, BoundsHoldAndTheBestPointIsReturned) {
  const Objective bowl = [](std::span<const double> x, std::span<double> gradient) {
    gradient[0] = 2 * (x[0] - 3);
    gradient[1] = 2 * (x[1] + 1);
    return (x[0] - 3) * (x[0] - 3) + (x[1] + 1) * (x[1] + 1);
  };
  const Bounds bounds{{-5, 0}, {5, 5}};
  const Minimum found = minimize(bowl, {-100, 100}, bounds);
  EXPECT_NEAR(found.x[0], 3, 1e-7);
  EXPECT_NEAR(found.x[1], 0, 1e-12);
  EXPECT_GE(found.x[1], 0);
  EXPECT_THAT(on_bound(found.x, bounds), ::testing::ElementsAre(1));
}

TEST(FitLossLaw, TiedExponentsAreOneAndAreRecovered) {
  const LossLaw truth{.log_a = 5, .alpha = 0.3, .log_b = 6, .beta = 0.3, .e = 0.7};
  std::vector<LossPoint> points;
  for (const double n : {1e8, 3e8, 1e9}) {
    for (const double d : {2e9, 1e10, 5e10}) points.push_back({n, d, truth.at(n, d)});
  }
  const LossLaw law = fit_loss_law(points, {.delta = 1, .noise = 1e-4, .prior = {.spread = 3}, .tied = true}).law;
  EXPECT_EQ(law.alpha, law.beta);
  EXPECT_NEAR(law.alpha, 0.3, 1e-3);
  EXPECT_NEAR(law.at(1e10, 1e12), truth.at(1e10, 1e12), 1e-3);
}

TEST(FitDirectLaw, AnExactLawIsRecoveredAndExtrapolates) {
  const DirectLaw truth{{.log_a = 4, .alpha = 0.22, .log_b = 5, .beta = 0.24}, 0.25, 1};
  std::vector<LossPoint> points;
  for (const double n : {1e8, 3e8, 1e9, 3e9}) {
    for (const double d : {2e9, 1e10, 5e10, 2e11}) points.push_back({n, d, truth.at(n, d)});
  }
  DirectFitOptions options{.noise = 1e-4, .range = {.floor = 0.25, .floor_spread = 0}};
  options.prior.spread = 2;
  options.range.ceiling_spread = 0;
  const DirectLaw law = fit_direct_law(points, options).law;
  EXPECT_NEAR(law.loss.alpha, 0.22, 2e-3);
  EXPECT_NEAR(law.loss.beta, 0.24, 2e-3);
  EXPECT_NEAR(law.at(1e10, 1e12), truth.at(1e10, 1e12), 2e-3);
}

TEST(FitDirectLaw, OfComputeAloneItIsAPowerLawOfTheLogarithmAndAccuracyMayBeZero) {
  const DirectLaw truth{{.log_a = 10, .alpha = 0.2}, 0, 1};
  std::vector<LossPoint> points;
  for (double flops = 1e18; flops < 2e22; flops *= 4) points.push_back({flops, 1e10, truth.at(flops, 1e10)});
  points.push_back({1e12, 1e6, 0});
  DirectFitOptions options{.noise = 1e-3, .range = {.floor = 0, .floor_spread = 0.01}, .compute_only = true};
  const DirectLaw law = fit_direct_law(points, options).law;
  EXPECT_NEAR(law.at(1e24, 1e13), truth.at(1e24, 1e13), 0.01);
  EXPECT_NEAR(law.at(1e10, 1e6), 0, 0.01);
}

TEST(FitDirectLaw, GivenFloorAndCeilingAreKept) {
  std::vector<LossPoint> points;
  for (const double n : {1e8, 3e8, 1e9, 3e9}) points.push_back({n, 20 * n, 0.3 + 0.05 * std::log10(n / 1e8)});
  const DirectFitOptions options{.range = {.floor = 0.2, .floor_spread = 0, .ceiling = 0.6, .ceiling_spread = 0}};
  const DirectLaw law = fit_direct_law(points, options).law;
  EXPECT_NEAR(law.floor, 0.2, 1e-3);
  EXPECT_NEAR(law.ceiling, 0.6, 1e-3);
  EXPECT_LE(law.at(1e15, 1e18), 0.601);
}

}  // namespace
}  // namespace tessera::plan
