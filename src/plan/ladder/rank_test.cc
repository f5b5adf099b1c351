// Rankings: what is compared, and with what.
#include "plan/ladder/rank.h"

#include <gmock/gmock.h>

#include "plan/ladder/testing.h"
#include "plan/ladder/testing_tables.h"

namespace tessera::plan {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

LadderTable recipe_of(uint64_t seed, std::vector<double> sizes = {190e6, 370e6, 760e6, 1.3e9}) {
  return testing::simulate_ladder(seed, {.sizes = std::move(sizes), .tasks = 2, .checkpoints = 8}).table;
}

Ranking ranking_of(const LadderTable& first, const LadderTable& second) {
  const LadderOptions options{.targets = {{"2B", {2e9, 8e10, 6 * 2e9 * 8e10}}}, .resamples = 20};
  return rank_recipes({{"first", first}, {"second", second}}, options);
}

/// Predicted mean of the pair's first recipe less that of its second.
double difference_of_forecasts(const Ranking& ranking) {
  double difference = 0;
  for (const RankedRecipe& each : ranking.recipes) {
    difference += each.name == ranking.pairs[0].first ? each.predicted : -each.predicted;
  }
  return difference;
}

TEST(RankRecipes, ALadderAgainstItselfIsUndecided) {
  const Ranking ranking = ranking_of(recipe_of(1), recipe_of(1));
  EXPECT_EQ(ranking.pairs[0].difference, 0);
  EXPECT_DOUBLE_EQ(ranking.pairs[0].probability, 0.5);
}

TEST(RankRecipes, LaddersWithoutARunInCommonAreComparedByTheirForecastsAlone) {
  const Ranking ranking = ranking_of(recipe_of(1), recipe_of(2, {20e6, 40e6, 80e6, 160e6}));
  EXPECT_THAT(ranking.warnings,
              Contains("first and second have no run in common and are compared by their forecasts alone"));
  EXPECT_NEAR(ranking.pairs[0].difference, difference_of_forecasts(ranking), 1e-12);
}

TEST(RankRecipes, TheLargestRunOfOneRecipeAloneDoesNotCount) {
  const LadderTable table = recipe_of(1);
  LadderTable smaller = table;
  std::erase_if(smaller.runs, [](const LadderRun& run) { return run.params > 1e9; });
  const Ranking ranking = ranking_of(table, smaller);
  EXPECT_THAT(ranking.warnings, Not(Contains(HasSubstr("in common"))));
  // The largest size scores some points more than what the smaller ladder ends with; the recipes are the same one.
  EXPECT_LT(ranking.pairs[0].difference, std::abs(difference_of_forecasts(ranking)) + 0.005);
}

TEST(RankRecipes, PairsSayTheBetterFirstWithAtLeastHalfAProbability) {
  const Ranking ranking = rank_recipes({{"a", recipe_of(1)}, {"b", recipe_of(2)}, {"c", recipe_of(3)}},
                                       {.targets = {{"2B", {2e9, 8e10, 6 * 2e9 * 8e10}}}, .resamples = 20});
  ASSERT_EQ(ranking.pairs.size(), 3u);
  double wins = 0;
  for (const RankedPair& pair : ranking.pairs) {
    EXPECT_GE(pair.difference, 0);
    EXPECT_GE(pair.probability, 0.5);
    EXPECT_LE(pair.low, pair.difference);
    EXPECT_GE(pair.high, pair.difference);
  }
  for (const RankedRecipe& each : ranking.recipes) wins += each.wins;
  EXPECT_NEAR(wins, 1, 1e-9);
}

}  // namespace
}  // namespace tessera::plan
