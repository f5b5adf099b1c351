// `tessera plan ladder`: reads the table, forecasts, prints.
#include "apps/plan_ladder.h"

#include <cmath>

#include "apps/plan_common.h"
#include "core/log.h"
#include "plan/ladder/ladder_report.h"
#include "plan/quantity.h"

namespace tessera::apps {

namespace {

plan::LadderOptions ladder_options(const PlanLadderOptions& options) {
  plan::LadderOptions how;
  how.method = parse_method(options.method);
  if (!options.feature.empty()) how.feature = plan::parse_feature(options.feature);
  how.single_step = options.single_step;
  const WeightedNames tasks = split_weights(options.tasks);
  how.tasks = tasks.names;
  how.weights = tasks.weights;
  how.chance = split_fractions(options.chance, "chance");
  how.ceiling = split_fractions(options.ceiling, "ceiling");
  for (const std::string& text : options.target) how.targets.push_back(plan::parse_target(text));
  if (!options.max_rung.empty()) how.max_rung_params = plan::parse_quantity(options.max_rung, "--max-rung");
  how.resamples = options.resamples;
  how.coverage = options.coverage;
  if (options.resamples == 0) throw UserError("[plan] --resamples is 0, want at least 1");
  how.seed = options.seed;
  how.threads = checked_threads(options.threads);
  return how;
}

std::string interval_of(const std::optional<double>& low, const std::optional<double>& high) {
  return low ? points(low) + " - " + points(high) : "";
}

void print_target(const plan::LadderForecast& forecast, size_t target, double coverage) {
  const plan::LadderTarget& at = forecast.targets[target];
  std::vector<std::vector<std::string>> rows;
  double error = 0, relative = 0, measured = 0;  // sums over the measured tasks, each by its weight
  for (const plan::LadderPrediction& each : forecast.predictions) {
    if (each.target != at.name) continue;
    const bool doubtful = !forecast.predictable.empty() && !forecast.predictable[rows.size()].is_predictable;
    rows.push_back({each.task + (doubtful ? " ?" : ""), points(each.predicted), interval_of(each.low, each.high),
                    points(each.actual), "", ""});
    if (!each.abs_error_points) continue;
    const double weight = forecast.weights[rows.size() - 1];
    rows.back()[4] = fmt::format("{:.1f} ", *each.abs_error_points);
    error += weight * *each.abs_error_points;
    measured += weight;
    if (!each.rel_error_percent) continue;  // nothing is a share of an accuracy of 0
    rows.back()[5] = fmt::format("{:.1f} ", *each.rel_error_percent);
    relative += weight * *each.rel_error_percent;
  }
  const plan::LadderMean& mean = forecast.means[target];
  rows.push_back({"mean", points(mean.predicted), interval_of(mean.low, mean.high), "", "", ""});
  if (measured > 0) {
    rows.back()[3] = points(mean.actual);
    rows.back()[4] = fmt::format("{:.2f}", error / measured);
    rows.back()[5] = fmt::format("{:.2f}", relative / measured);
  }
  detail::print(
      fmt::format("{}: {} parameters, {} tokens, {} FLOPs\n{}\n", at.name, plan::short_number(at.scale.params),
                  plan::short_number(at.scale.tokens), plan::short_number(at.scale.flops),
                  columns({"task", "predicted %", interval_header(coverage), "actual", "error", "relative %"}, rows)));
}

/// How the mean over the tasks moved, and each task's forecast at the last checkpoint.
void print_running(const std::vector<plan::RunningPoint>& followed, const plan::LadderForecast& forecast,
                   const std::string& run, double coverage) {
  const std::string interval = interval_header(coverage);
  const std::vector<plan::RunningPoint> by_share = plan::mean_over_tasks(followed, forecast);
  const double last = by_share.back().share;
  std::vector<std::vector<std::string>> means, tasks;
  for (const plan::RunningPoint& each : by_share) {
    means.push_back({fmt::format("{:.1f}%", 100 * each.share), points(each.predicted),
                     points(each.low) + " - " + points(each.high)});
  }
  for (const plan::RunningPoint& each : followed) {
    if (each.share != last) continue;
    tasks.push_back({each.task, points(each.predicted), points(each.low) + " - " + points(each.high)});
  }
  detail::print(fmt::format("{} under way, mean over the tasks\n{}\nafter {:.1f}%\n{}\n", run,
                            columns({"seen", "predicted %", interval}, means), 100 * last,
                            columns({"task", "predicted %", interval}, tasks)));
}

Json predictable_json(const plan::LadderTable& table, const plan::LadderForecast& forecast) {
  Json result = Json::object();
  for (size_t t = 0; t < forecast.predictable.size(); ++t) {
    const plan::Predictability& each = forecast.predictable[t];
    result[table.tasks[forecast.tasks[t]]] = {{"predictable", each.is_predictable},
                                              {"skill", std::isnan(each.skill) ? Json(nullptr) : Json(each.skill)},
                                              {"why", each.why}};
  }
  return result;
}

}  // namespace

int run_plan_ladder(const PlanLadderOptions& options) {
  apply(options.output);
  if (!options.report.empty()) require_writable(options.report, "plan");
  plan::LadderOptions how = ladder_options(options);
  plan::LadderTable table = plan::read_ladder_table(options.runs);
  std::optional<plan::LadderRun> running;
  if (!options.running.empty()) {
    running = plan::take_run(table, options.running);
    if (how.targets.empty()) how.targets.push_back({running->name, plan::final_scale(*running)});
  }
  plan::LadderForecast forecast;
  {
    ForecastBar bar;
    forecast = plan::forecast_ladder(table, how, bar.steps());
  }
  std::vector<plan::RunningPoint> followed;
  if (running) followed = plan::follow_run(table, how, forecast, *running);
  if (options.output.json) {
    Json result = {{"predictions", to_json(forecast.predictions)},
                   {"means", to_json(forecast.means)},
                   {"coverage", options.coverage},
                   {"predictable", predictable_json(table, forecast)},
                   {"warnings", forecast.warnings}};
    if (running) result["running"] = to_json(followed);
    print_json(result);
  } else {
    for (size_t t = 0; t < forecast.targets.size(); ++t) print_target(forecast, t, options.coverage);
    if (running) print_running(followed, forecast, running->name, options.coverage);
    print_warnings(forecast.warnings);
  }
  if (!options.report.empty()) {
    plan::Report page = plan::ladder_report(table, how, forecast);
    if (running) plan::add_running(page, running->name, followed, forecast, how.coverage);
    plan::write_report(page, options.report);
    log_info("the report is in {}", options.report.string());
  }
  return 0;
}

}  // namespace tessera::apps
