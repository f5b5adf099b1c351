// Which of several recipes will win at a large size: what most ladders are trained for (arXiv 2504.11393).
#pragma once

#include <string>
#include <vector>

#include "plan/ladder/ladder.h"

namespace tessera::plan {

/// A recipe is the ladder that was trained with it.
struct Recipe {
  std::string name;
  LadderTable table;
};

/// What is forecast of one recipe at the target: its mean over the tasks.
struct RankedRecipe {
  std::string name;
  double predicted = 0, low = 0, high = 0;
  double wins = 0;  // probability that no other recipe scores higher
};
template <class V> void fields(V& v, RankedRecipe& r) {
  v("name", r.name, "");
  v("predicted", r.predicted, "weighted mean over the tasks, a fraction");
  v("low", r.low, "lower end of its interval");
  v("high", r.high, "upper end");
  v("wins", r.wins, "probability that no other recipe scores higher");
}

/// Two recipes compared, the one that is predicted to be better first.
struct RankedPair {
  std::string first, second;
  double difference = 0, low = 0, high = 0;
  double probability = 0;         // that the first is better
  size_t decided = 0, right = 0;  // held-out runs that both trained: compared, and the better one named
};
template <class V> void fields(V& v, RankedPair& p) {
  v("first", p.first, "the recipe that is predicted to be better");
  v("second", p.second, "");
  v("difference", p.difference, "of their means, a fraction");
  v("low", p.low, "lower end of its interval");
  v("high", p.high, "upper end");
  v("probability", p.probability, "that the first is better");
  v("decided", p.decided, "hindcasts of the same run under both recipes");
  v("right", p.right, "of those, how many named the better one");
}

struct Ranking {
  LadderTarget target;
  std::vector<std::string> tasks;     // that every recipe measured
  std::vector<RankedRecipe> recipes;  // best first
  std::vector<RankedPair> pairs;
  std::vector<std::string> warnings;
};

/// Ranks recipes at the first target of `options` (method best). Errors of two recipes go together as far as their
/// hindcasts of the same runs show; the difference of their forecasts is mixed with that at the largest run that both
/// trained, which alone ranks well, as far as either did better in hindcasts. Throws UserError: fewer than two recipes,
/// two of one name, no target, no task in common, and what forecast_ladder throws.
Ranking rank_recipes(const std::vector<Recipe>& recipes, const LadderOptions& options,
                     const LadderProgress& progress = {});

}  // namespace tessera::plan
