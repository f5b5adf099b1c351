// Each recipe is forecast by itself; pairs are compared by what their hindcasts share.
#include "plan/ladder/rank.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "core/error.h"
#include "plan/curves/random.h"
#include "plan/ladder/ladder_setup.h"

namespace tessera::plan {

namespace {

constexpr double kSharedErrors = 0.5, kRunsBelieved = 6;  // correlation of two recipes' errors before hindcasts
constexpr double kForecastsCount = 0.5;  // of the difference, against the largest rungs', before hindcasts
constexpr size_t kWinDraws = 4000;
constexpr double kLeastDeviation = 1e-4;

/// Size and tokens in steps of 5%, so that the runs of two recipes can be matched.
using RunKey = std::pair<long, long>;

RunKey key_of(const LadderRun& run) {
  const auto step = [](double value) { return std::lround(20 * std::log(value)); };
  return {step(run.params), step(run.final_tokens())};
}

/// The means over the tasks of one held-out run in one split.
struct HeldOut {
  double predicted = 0, measured = 0, baseline = 0;
  RunKey largest;  // of the rungs that were learnt from, whose accuracy is the baseline
  size_t tasks = 0;
};

/// Held-out runs by split and run.
using HeldOutRuns = std::map<std::pair<std::string, RunKey>, HeldOut>;

HeldOutRuns held_out_runs(const LadderForecast& forecast) {
  HeldOutRuns runs;
  for (const Hindcast& each : forecast.hindcasts) {
    const auto at = std::find(forecast.tasks.begin(), forecast.tasks.end(), each.task) - forecast.tasks.begin();
    const double weight = forecast.weights[static_cast<size_t>(at)];
    const HindcastSplit& split = forecast.splits[each.split];
    HeldOut& run = runs[{split.name, key_of(*each.run)}];
    run.largest = key_of(largest_rung(split.learn));
    run.predicted += weight * each.predicted;
    run.measured += weight * each.measured;
    run.baseline += weight * each.baseline;
    ++run.tasks;
  }
  std::erase_if(runs, [&](const auto& run) { return run.second.tasks < forecast.tasks.size(); });
  return runs;
}

/// What two recipes' hindcasts of the same runs say of their differences.
struct Comparison {
  double correlation = kSharedErrors;
  double forecasts = kForecastsCount;  // share of the forecasts' difference; the rest is that at the largest run
  size_t decided = 0, right = 0;
};

Comparison compared(const HeldOutRuns& first, const HeldOutRuns& second) {
  Comparison result;
  double xx = 0, yy = 0, xy = 0, gain = 0, square = 0;
  std::vector<std::array<double, 3>> differences;  // forecast, largest rungs, measured
  for (const auto& [key, a] : first) {
    const auto found = second.find(key);
    if (found == second.end()) continue;
    const HeldOut& b = found->second;
    const double x = a.predicted - a.measured, y = b.predicted - b.measured;
    xx += x * x;
    yy += y * y;
    xy += x * y;
    const bool comparable = a.largest == b.largest;  // else the baselines differ for what they were trained for
    differences.push_back({a.predicted - b.predicted, comparable ? a.baseline - b.baseline : a.predicted - b.predicted,
                           a.measured - b.measured});
    const auto& [forecast, largest, measured] = differences.back();
    gain += (forecast - largest) * (measured - largest);
    square += (forecast - largest) * (forecast - largest);
  }
  const auto count = static_cast<double>(differences.size());
  if (differences.empty()) return result;
  const double found = xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
  result.correlation = std::clamp((count * found + kRunsBelieved * kSharedErrors) / (count + kRunsBelieved), 0.0, 0.95);
  const double believed = kRunsBelieved * square / count;  // as if so many runs more had shown the prior share
  if (square > 0) result.forecasts = std::clamp((gain + believed * kForecastsCount) / (square + believed), 0.0, 1.0);
  for (const auto& [forecast, largest, measured] : differences) {
    const double said = result.forecasts * forecast + (1 - result.forecasts) * largest;
    if (measured == 0 || said == 0) continue;
    ++result.decided;
    result.right += (said > 0) == (measured > 0);
  }
  return result;
}

/// What is known of one recipe when pairs are compared.
struct Contender {
  LadderForecast forecast;
  HeldOutRuns held_out;
  Rungs rungs;
};

/// The difference of two recipes at the largest run that both trained; nothing where they have no run in common.
std::optional<double> difference_in_common(const Contender& a, const Contender& b) {
  std::map<RunKey, const LadderRun*> runs;
  for (const LadderRun* run : b.rungs) runs[key_of(*run)] = run;
  Rungs common;
  std::copy_if(a.rungs.begin(), a.rungs.end(), std::back_inserter(common),
               [&](const LadderRun* run) { return runs.count(key_of(*run)) > 0; });
  if (common.empty()) return std::nullopt;
  const LadderRun& largest = largest_rung(common);
  return mean_accuracy(a.forecast, final_scale(largest)) -
         mean_accuracy(b.forecast, final_scale(*runs.at(key_of(largest))));
}

double deviation_of(double low, double high, double coverage) {
  return std::max(kLeastDeviation, (high - low) / 2 / normal_tail(coverage));
}

/// Tasks that every recipe would be forecast on.
std::vector<std::string> common_tasks(const std::vector<Recipe>& recipes, const LadderOptions& options,
                                      std::vector<std::string>& notes) {
  std::vector<std::string> common;
  for (size_t r = 0; r < recipes.size(); ++r) {
    std::vector<std::string> names, own_notes;
    for (const size_t task : chosen_tasks(recipes[r].table, options, own_notes)) {
      names.push_back(recipes[r].table.tasks[task]);
    }
    if (r == 0) common = names;
    std::erase_if(common,
                  [&](const std::string& name) { return std::find(names.begin(), names.end(), name) == names.end(); });
    for (const std::string& note : own_notes) notes.push_back(recipes[r].name + ": " + note);
  }
  if (common.empty()) throw UserError("[plan] the recipes have no task in common; want one that each of them measured");
  return common;
}

void check_recipes(const std::vector<Recipe>& recipes) {
  if (recipes.size() < 2) throw UserError("[plan] ranking: got {} recipe, want at least two ladders", recipes.size());
  std::set<std::string> names;
  for (const Recipe& recipe : recipes) {
    if (!names.insert(recipe.name).second) throw UserError("[plan] two recipes are named '{}'", recipe.name);
  }
}

/// How often each recipe is the best when their scores are drawn around the forecasts, errors partly shared.
void add_wins(std::vector<RankedRecipe>& recipes, const std::vector<double>& deviations, double correlation, Rng rng) {
  for (size_t draw = 0; draw < kWinDraws; ++draw) {
    const double shared = normal(rng);
    size_t best = 0;
    double most = -INFINITY;
    for (size_t r = 0; r < recipes.size(); ++r) {
      const double error = std::sqrt(correlation) * shared + std::sqrt(1 - correlation) * normal(rng);
      const double score = recipes[r].predicted + deviations[r] * error;
      if (score > most) {
        most = score;
        best = r;
      }
    }
    recipes[best].wins += 1.0 / kWinDraws;
  }
}

RankedPair ranked_pair(const Contender& a, const Contender& b, const Comparison& how, const LadderOptions& options) {
  const LadderMean &x = a.forecast.means.front(), &y = b.forecast.means.front();
  RankedPair pair;
  pair.difference = x.predicted - y.predicted;
  if (const auto common = difference_in_common(a, b)) {
    pair.difference = how.forecasts * pair.difference + (1 - how.forecasts) * *common;
  }
  const double sx = deviation_of(*x.low, *x.high, options.coverage),
               sy = deviation_of(*y.low, *y.high, options.coverage);
  const double deviation =
      std::sqrt(std::max(kLeastDeviation * kLeastDeviation, sx * sx + sy * sy - 2 * how.correlation * sx * sy));
  const double half = normal_tail(options.coverage) * deviation;
  pair.low = pair.difference - half;
  pair.high = pair.difference + half;
  pair.probability = 0.5 * std::erfc(-pair.difference / deviation / std::sqrt(2.0));
  pair.decided = how.decided;
  pair.right = how.right;
  return pair;
}

/// Puts the better recipe first.
RankedPair turned(RankedPair pair) {
  if (pair.difference >= 0) return pair;
  std::swap(pair.first, pair.second);
  pair.difference = -pair.difference;
  std::tie(pair.low, pair.high) = std::pair(-pair.high, -pair.low);
  pair.probability = 1 - pair.probability;
  return pair;
}

}  // namespace

Ranking rank_recipes(const std::vector<Recipe>& recipes, const LadderOptions& options, const LadderProgress& progress) {
  check_recipes(recipes);
  if (options.method != LadderMethod::best || options.resamples == 0) {
    throw UserError("[plan] ranking needs intervals; want --method best and resamples above 0");
  }
  Ranking ranking;
  LadderOptions how = options;
  how.tasks = common_tasks(recipes, options, ranking.warnings);
  how.weights.clear();
  for (const std::string& name : how.tasks) {
    double weight = 0;
    for (size_t i = 0; i < options.weights.size(); ++i) weight += options.tasks[i] == name ? options.weights[i] : 0;
    if (!options.weights.empty()) how.weights.push_back(weight);
  }
  how.targets = {chosen_targets(recipes.front().table, options).front()};
  ranking.target = how.targets.front();
  ranking.tasks = how.tasks;
  std::vector<Contender> contenders;
  for (const Recipe& recipe : recipes) {
    Contender& each = contenders.emplace_back();
    each.forecast = forecast_ladder(recipe.table, how, progress);
    each.held_out = held_out_runs(each.forecast);
    each.rungs = chosen_rungs(recipe.table, how);
    for (const std::string& warning : each.forecast.warnings) ranking.warnings.push_back(recipe.name + ": " + warning);
    const LadderMean& mean = each.forecast.means.front();
    ranking.recipes.push_back({recipe.name, mean.predicted, *mean.low, *mean.high});
  }
  double correlation = 0, count = 0;
  for (size_t a = 0; a < recipes.size(); ++a) {
    for (size_t b = a + 1; b < recipes.size(); ++b, ++count) {
      const Comparison comparison = compared(contenders[a].held_out, contenders[b].held_out);
      correlation += comparison.correlation;
      if (!difference_in_common(contenders[a], contenders[b])) {
        ranking.warnings.push_back(
            fmt::format("{} and {} have no run in common and are compared by their forecasts alone", recipes[a].name,
                        recipes[b].name));
      }
      RankedPair pair = ranked_pair(contenders[a], contenders[b], comparison, how);
      pair.first = recipes[a].name;
      pair.second = recipes[b].name;
      ranking.pairs.push_back(turned(pair));
    }
  }
  std::vector<double> deviations;
  for (const RankedRecipe& each : ranking.recipes)
    deviations.push_back(deviation_of(each.low, each.high, how.coverage));
  add_wins(ranking.recipes, deviations, correlation / count, Rng(options.seed, 2));
  if (recipes.size() == 2) {  // the pair's probability also knows the largest rungs
    for (RankedRecipe& each : ranking.recipes) {
      const RankedPair& pair = ranking.pairs.front();
      each.wins = each.name == pair.first ? pair.probability : 1 - pair.probability;
    }
  }
  std::stable_sort(ranking.recipes.begin(), ranking.recipes.end(), [](auto& a, auto& b) { return a.wins > b.wins; });
  return ranking;
}

}  // namespace tessera::plan
