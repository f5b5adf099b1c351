// `tessera plan rank`: reads a ladder for each recipe, ranks them, prints.
#include "apps/plan_rank.h"

#include <fmt/ranges.h>

#include "apps/plan_common.h"
#include "plan/ladder/rank.h"
#include "plan/quantity.h"

namespace tessera::apps {

namespace {

plan::LadderOptions rank_options(const PlanRankOptions& options) {
  plan::LadderOptions how{.resamples = options.resamples, .coverage = options.coverage, .seed = options.seed};
  const WeightedNames tasks = split_weights(options.tasks);
  how.tasks = tasks.names;
  how.weights = tasks.weights;
  how.chance = split_fractions(options.chance, "chance");
  how.ceiling = split_fractions(options.ceiling, "ceiling");
  if (!options.feature.empty()) how.feature = plan::parse_feature(options.feature);
  if (!options.max_rung.empty()) how.max_rung_params = plan::parse_quantity(options.max_rung, "--max-rung");
  how.targets = {plan::parse_target(options.target)};
  how.threads = checked_threads(options.threads);
  return how;
}

std::vector<plan::Recipe> read_recipes(const std::vector<Path>& files) {
  std::vector<plan::Recipe> recipes;
  for (const Path& file : files) recipes.push_back({file.stem().string(), plan::read_ladder_table(file)});
  return recipes;
}

std::string recipe_text(const plan::Ranking& ranking, double coverage) {
  std::vector<std::vector<std::string>> rows;
  for (const plan::RankedRecipe& each : ranking.recipes) {
    rows.push_back({each.name, points(each.predicted), points(each.low) + " - " + points(each.high),
                    fmt::format("{:.0f}%", 100 * each.wins)});
  }
  return columns({"recipe", "predicted mean %", interval_header(coverage), "is best"}, rows);
}

std::string pair_text(const plan::Ranking& ranking, double coverage) {
  std::vector<std::vector<std::string>> rows;
  for (const plan::RankedPair& each : ranking.pairs) {
    rows.push_back({each.first + " over " + each.second, fmt::format("{:+.1f}", 100 * each.difference),
                    fmt::format("{:+.1f} - {:+.1f}", 100 * each.low, 100 * each.high),
                    fmt::format("{:.0f}%", 100 * each.probability),
                    each.decided > 0 ? fmt::format("{} of {}", each.right, each.decided) : ""});
  }
  return columns({"pair", "difference, points", interval_header(coverage), "probability", "hindcasts decided right"},
                 rows);
}

}  // namespace

int run_plan_rank(const PlanRankOptions& options) {
  apply(options.output);
  const plan::LadderOptions how = rank_options(options);
  const std::vector<plan::Recipe> recipes = read_recipes(options.runs);
  const plan::Ranking ranking = plan::rank_recipes(recipes, how);
  if (options.output.json) {
    print_json({{"target", ranking.target.name},
                {"tasks", ranking.tasks},
                {"recipes", to_json(ranking.recipes)},
                {"pairs", to_json(ranking.pairs)},
                {"coverage", options.coverage},
                {"warnings", ranking.warnings}});
    return 0;
  }
  detail::print(fmt::format("{}: {} parameters, {} tokens; {} tasks\n{}\n{}", ranking.target.name,
                            plan::short_number(ranking.target.scale.params),
                            plan::short_number(ranking.target.scale.tokens), ranking.tasks.size(),
                            recipe_text(ranking, options.coverage), pair_text(ranking, options.coverage)));
  print_warnings(ranking.warnings);
  return 0;
}

}  // namespace tessera::apps
