// Budgets: the optimum is one, what is spent is what was given, and limits hold.
#include "plan/ladder/budget.h"

#include <gmock/gmock.h>

#include <cmath>

#include "core/error.h"
#include "plan/ladder/ladder_report.h"
#include "plan/ladder/testing.h"

namespace tessera::plan {
namespace {

using ::testing::HasSubstr;

const LadderTable& table() {
  static const LadderTable simulated = testing::simulate_ladder(5).table;
  return simulated;
}

BudgetOptions budget_of(double flops) {
  BudgetOptions options{.flops = flops};
  options.ladder.resamples = 40;
  return options;
}

TEST(Budget, NoPointOfTheCurveBeatsTheBest) {
  const Budget budget = plan_budget(table(), budget_of(1e22));
  ASSERT_GT(budget.curve.size(), 20u);
  for (const BudgetPoint& point : budget.curve) EXPECT_LE(point.accuracy, budget.best.accuracy + 1e-9);
  EXPECT_GT(budget.best.params, budget.curve.front().params);
  EXPECT_LT(budget.best.params, budget.curve.back().params);
}

TEST(Budget, EveryPointSpendsTheWholeBudget) {
  BudgetOptions options = budget_of(1e22);
  options.inference_tokens = 1e12;
  for (const BudgetPoint& point : plan_budget(table(), options).curve) {
    EXPECT_NEAR(point.training_flops + point.inference_flops, 1e22, 1e12);
    EXPECT_NEAR(point.training_flops, 6 * point.params * point.tokens, 1e12);
    EXPECT_NEAR(point.inference_flops, 2 * point.params * 1e12, 1e12);
  }
}

TEST(Budget, MoreComputeScoresBetterWithALargerModel) {
  const Budget small = plan_budget(table(), budget_of(1e21)), large = plan_budget(table(), budget_of(1e23));
  EXPECT_GT(large.best.accuracy, small.best.accuracy);
  EXPECT_GT(large.best.params, small.best.params);
  EXPECT_GT(large.best.tokens, small.best.tokens);
}

TEST(Budget, ServingMakesTheBestModelSmaller) {
  BudgetOptions options = budget_of(1e22);
  const double free = plan_budget(table(), options).best.params;
  options.inference_tokens = 1e12;
  EXPECT_LT(plan_budget(table(), options).best.params, free);
}

TEST(Budget, SizesStayBelowTheCap) {
  BudgetOptions options = budget_of(1e22);
  options.max_params = 1e9;
  EXPECT_LE(plan_budget(table(), options).best.params, 1e9 * (1 + 1e-9));
}

TEST(Budget, TheSmallestLadderIsTheCheapestWithinTolerance) {
  const BudgetOptions options = budget_of(1e22);
  const Budget budget = plan_budget(table(), options);
  ASSERT_TRUE(budget.cheapest);
  EXPECT_LE(budget.cheapest->deviation, options.tolerance);
  for (const SubLadder& part : budget.ladders) {
    EXPECT_LE(part.flops, budget.ladder_flops * (1 + 1e-12));
    EXPECT_TRUE(part.flops >= budget.cheapest->flops || part.deviation > options.tolerance);
  }
  EXPECT_NEAR(budget.ladders.back().deviation, 0, 1e-12);  // the whole ladder is the last part
}

TEST(Budget, PartsOfTheLadderAreFittedByTheMethodOfTheWhole) {
  BudgetOptions options = budget_of(1e22);
  options.ladder.method = LadderMethod::paper;
  EXPECT_NEAR(plan_budget(table(), options).ladders.back().deviation, 0, 1e-12);  // the whole ladder
}

TEST(Budget, PartsThatLackATaskAreNoLadders) {
  LadderTable without = testing::simulate_ladder(5).table;
  const double second = 370e6;  // the second size, and what is smaller, did not measure the first task
  for (LadderRun& run : without.runs) {
    if (run.params <= second) run.tasks[0].acc.assign(run.tokens.size(), kMissing);
  }
  const Budget budget = plan_budget(without, budget_of(1e22));
  ASSERT_FALSE(budget.ladders.empty());
  for (const SubLadder& part : budget.ladders) EXPECT_GT(part.max_params, second);
}

TEST(Budget, TheReportContainsTheBestSizeAndEveryTask) {
  const BudgetOptions options = budget_of(1e22);
  const std::string html = budget_report(options, plan_budget(table(), options)).html();
  for (const std::string& task : table().tasks) EXPECT_THAT(html, HasSubstr(task));
  EXPECT_THAT(html, HasSubstr("A budget of 1e22 FLOPs"));
}

std::string refusal(const BudgetOptions& options) {
  try {
    plan_budget(table(), options);
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Budget, BudgetsOutOfRangeAreRefused) {
  EXPECT_THAT(refusal(budget_of(0)), HasSubstr("want more than 0"));
  EXPECT_THAT(refusal(budget_of(-1)), HasSubstr("want more than 0"));
  EXPECT_THAT(refusal(budget_of(std::nan(""))), HasSubstr("want more than 0"));
  EXPECT_THAT(refusal(budget_of(1e10)), HasSubstr("allows no model"));
  EXPECT_THAT(refusal(budget_of(1e300)), HasSubstr("at most 1e+36"));
  BudgetOptions options = budget_of(1e18);
  options.inference_tokens = 1e15;
  EXPECT_THAT(refusal(options), HasSubstr("takes the whole budget"));
  options = budget_of(1e22);
  options.max_params = 10;
  EXPECT_THAT(refusal(options), HasSubstr("allows no model"));
}

}  // namespace
}  // namespace tessera::plan
