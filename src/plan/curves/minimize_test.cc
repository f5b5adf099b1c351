// Both minimisers on functions whose minima are known, and against each other on the fits that they serve.
#include "plan/curves/minimize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace tessera::plan {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Rosenbrock's valley; its minimum is 0 at (1, 1).
double valley(std::span<const double> x, std::span<double> gradient) {
  const double away = x[1] - x[0] * x[0];
  gradient[0] = -400 * x[0] * away - 2 * (1 - x[0]);
  gradient[1] = 200 * away;
  return 100 * away * away + (1 - x[0]) * (1 - x[0]);
}

double curved_valley(std::span<const double> x, std::span<double> gradient, std::span<double> curvature) {
  curvature[0] = 1200 * x[0] * x[0] - 400 * x[1] + 2;
  curvature[1] = curvature[2] = -400 * x[0];
  curvature[3] = 200;
  return valley(x, gradient);
}

const Bounds kAnywhere{{-kInfinity, -kInfinity}, {kInfinity, kInfinity}};

TEST(Minimize, BothMinimisersFindTheMinimumOfACurvedValley) {
  for (const auto& found :
       {minimize(valley, {-1.2, 1}, kAnywhere), minimize_newton(curved_valley, {{-1.2, 1}}, kAnywhere)}) {
    EXPECT_NEAR(found.x[0], 1, 1e-6);
    EXPECT_NEAR(found.x[1], 1, 1e-6);
    EXPECT_LT(found.value, 1e-12);
  }
}

TEST(Minimize, BothMinimisersStopAtABoundAndReportIt) {
  const Bounds box{{-kInfinity, -kInfinity}, {0.5, kInfinity}};
  for (const auto& found : {minimize(valley, {-1.2, 1}, box), minimize_newton(curved_valley, {{-1.2, 1}}, box)}) {
    EXPECT_NEAR(found.x[0], 0.5, 1e-9);
    EXPECT_NEAR(found.x[1], 0.25, 1e-6);
    EXPECT_EQ(on_bound(found.x, box), std::vector<size_t>{0});
  }
}

TEST(Minimize, AStartOutsideTheBoundsIsClamped) {
  const Bounds box{{0, 0}, {0.9, 0.9}};
  const Minimum found = minimize(valley, {-50, 50}, box);
  for (const double x : found.x) {
    EXPECT_GE(x, 0);
    EXPECT_LE(x, 0.9);
  }
}

TEST(Minimize, AValueThatTendsToNothingIsNotFollowedForEver) {
  size_t evaluations = 0;
  const CurvedObjective fall = [&](std::span<const double> x, std::span<double> gradient, std::span<double> curvature) {
    ++evaluations;
    gradient[0] = -std::exp(-x[0]);
    curvature[0] = std::exp(-x[0]);
    return std::exp(-x[0]);
  };
  const Bounds line{{-kInfinity}, {kInfinity}};
  EXPECT_LT(minimize_newton(fall, {{0}}, line, {.tolerance = 1e-8, .least_value = 1e-4}).value, 1e-10);
  EXPECT_LT(evaluations, 60u);
}

TEST(Minimize, TheBestOfSeveralStartsIsReturned) {
  // Two pits: 0 at -2 and -1 at 2.
  const Objective pits = [](std::span<const double> x, std::span<double> gradient) {
    const double square = x[0] * x[0] - 4;
    gradient[0] = 4 * x[0] * square - 0.25;
    return square * square - 0.25 * x[0];
  };
  const Bounds line{{-kInfinity}, {kInfinity}};
  EXPECT_LT(minimize(pits, {-3}, line).x[0], 0);
  EXPECT_GT(minimize_from(pits, {{-3}, {3}}, line).x[0], 0);
}

}  // namespace
}  // namespace tessera::plan
