// `tessera plan budget`: reads the table, searches, prints.
#include "apps/plan_budget.h"

#include "apps/plan_common.h"
#include "core/log.h"
#include "plan/ladder/ladder_report.h"
#include "plan/quantity.h"

namespace tessera::apps {

namespace {

using plan::short_number;

plan::BudgetOptions budget_options(const PlanBudgetOptions& options) {
  plan::BudgetOptions how{.flops = options.flops, .tolerance = options.tolerance};
  if (!options.inference_tokens.empty()) {
    how.inference_tokens = plan::parse_quantity(options.inference_tokens, "--inference-tokens");
  }
  if (!options.max_params.empty()) how.max_params = plan::parse_quantity(options.max_params, "--max-params");
  how.ladder.method = parse_method(options.method);
  if (!options.feature.empty()) how.ladder.feature = plan::parse_feature(options.feature);
  const WeightedNames tasks = split_weights(options.tasks);
  how.ladder.tasks = tasks.names;
  how.ladder.weights = tasks.weights;
  how.ladder.resamples = options.resamples;
  how.ladder.seed = options.seed;
  how.ladder.threads = checked_threads(options.threads);
  return how;
}

std::vector<std::string> point_row(const char* label, const plan::BudgetPoint& point) {
  return {label,
          short_number(point.params),
          short_number(point.tokens),
          points(point.accuracy),
          short_number(point.training_flops),
          point.inference_flops > 0 ? short_number(point.inference_flops) : ""};
}

/// The best size, the ends of what is as good, and nine sizes around it.
std::string curve_text(const plan::Budget& budget) {
  std::vector<std::vector<std::string>> rows = {point_row("best", budget.best),
                                                point_row("smallest as good", budget.smallest_as_good),
                                                point_row("largest as good", budget.largest_as_good)};
  for (size_t i = 0; i < budget.curve.size(); i += 10) {
    rows.push_back(point_row(i == 0 ? "around it" : "", budget.curve[i]));
  }
  return columns({"", "parameters", "tokens", "mean accuracy %", "training FLOPs", "serving FLOPs"}, rows);
}

std::string task_text(const plan::LadderForecast& forecast, double coverage) {
  std::vector<std::vector<std::string>> rows;
  for (const plan::LadderPrediction& each : forecast.predictions) {
    rows.push_back({each.task, points(each.predicted), each.low ? points(each.low) + " - " + points(each.high) : ""});
  }
  const plan::LadderMean& mean = forecast.means.front();
  rows.push_back({"mean", points(mean.predicted), mean.low ? points(mean.low) + " - " + points(mean.high) : ""});
  return columns({"at the best", "predicted %", interval_header(coverage)}, rows);
}

std::string ladder_text(const plan::Budget& budget, double tolerance) {
  std::string text = fmt::format("ladder: {} FLOPs, {:.3g}% of the training\n", short_number(budget.ladder_flops),
                                 100 * budget.ladder_flops / budget.best.training_flops);
  if (!budget.cheapest) return text + "no smaller ladder predicts within the tolerance\n";
  const plan::SubLadder& part = *budget.cheapest;
  return text + fmt::format(
                    "smallest that predicts within {:.1f} points: {} rungs up to {} parameters and {} tokens per "
                    "parameter, {} FLOPs, {:.3g}% of the training (off by {:.2f} points)\n",
                    100 * tolerance, part.rungs, short_number(part.max_params), short_number(part.max_tokens_per_param),
                    short_number(part.flops), 100 * part.share, 100 * part.deviation);
}

}  // namespace

int run_plan_budget(const PlanBudgetOptions& options) {
  apply(options.output);
  if (!options.report.empty()) require_writable(options.report, "plan");
  const plan::BudgetOptions how = budget_options(options);
  const plan::LadderTable table = plan::read_ladder_table(options.runs);
  plan::Budget budget;
  {
    ForecastBar bar;
    budget = plan::plan_budget(table, how, bar.steps());
  }
  if (options.output.json) {
    Json result = {{"best", to_json(budget.best)},
                   {"smallest_as_good", to_json(budget.smallest_as_good)},
                   {"largest_as_good", to_json(budget.largest_as_good)},
                   {"curve", to_json(budget.curve)},
                   {"predictions", to_json(budget.forecast.predictions)},
                   {"mean", to_json(budget.forecast.means.front())},
                   {"coverage", how.ladder.coverage},
                   {"ladder_flops", budget.ladder_flops},
                   {"ladders", to_json(budget.ladders)},
                   {"smallest_ladder", budget.cheapest ? to_json(*budget.cheapest) : Json(nullptr)},
                   {"warnings", budget.forecast.warnings}};
    print_json(result);
  } else {
    detail::print(curve_text(budget) + "\n" + task_text(budget.forecast, how.ladder.coverage) + "\n" +
                  ladder_text(budget, how.tolerance));
    print_warnings(budget.forecast.warnings);
  }
  if (!options.report.empty()) {
    plan::write_report(plan::budget_report(how, budget), options.report);
    log_info("the report is in {}", options.report.string());
  }
  return 0;
}

}  // namespace tessera::apps
