// `tessera plan ladder`: reads the table, forecasts, prints.
#include "apps/plan_ladder.h"

#include <array>
#include <map>

#include "apps/plan_common.h"
#include "plan/quantity.h"
#include "plan/running.h"

namespace tessera::apps {

namespace {

plan::LadderOptions ladder_options(const PlanLadderOptions& options) {
  plan::LadderOptions how;
  how.method = parse_method(options.method);
  if (!options.feature.empty()) how.feature = plan::parse_feature(options.feature);
  how.single_step = options.single_step;
  how.tasks = split_names(options.tasks);
  for (const std::string& text : options.target) how.targets.push_back(plan::parse_target(text));
  if (!options.max_rung.empty()) how.max_rung_params = plan::parse_quantity(options.max_rung, "--max-rung");
  how.resamples = options.resamples, how.coverage = options.coverage;
  if (options.threads < 0) throw UserError("[plan] --threads is {}, want 0 or more", options.threads);
  if (options.resamples == 0) throw UserError("[plan] --resamples is 0, want at least 1");
  how.seed = options.seed, how.threads = options.threads;
  return how;
}

std::string points_of(const std::optional<double>& fraction) { return fraction ? fmt::format("{:.1f}", 100 * *fraction) : ""; }

void print_target(const plan::LadderForecast& forecast, const plan::LadderTarget& target) {
  std::string text = fmt::format("{}: {} parameters, {} tokens, {} FLOPs\n", target.name,
                                 plan::short_number(target.scale.params), plan::short_number(target.scale.tokens),
                                 plan::short_number(target.scale.flops));
  text += fmt::format("  {:<16} {:>9} {:>15} {:>8} {:>7} {:>7}\n", "task", "predicted", "interval", "actual", "error",
                      "rel.");
  double error = 0, relative = 0, measured = 0;
  for (const plan::LadderPrediction& each : forecast.predictions) {
    if (each.target != target.name) continue;
    const std::string interval = each.low ? points_of(each.low) + " - " + points_of(each.high) : "";
    text += fmt::format("  {:<16} {:>9} {:>15} {:>8}", each.task, points_of(each.predicted), interval, points_of(each.actual));
    if (each.abs_error_points && each.rel_error_percent) {
      text += fmt::format(" {:>7.1f} {:>6.1f}%", *each.abs_error_points, *each.rel_error_percent);
      error += *each.abs_error_points, relative += *each.rel_error_percent, ++measured;
    }
    text += '\n';
  }
  if (measured > 0) text += fmt::format("  {:<51} {:>7.2f} {:>6.2f}%\n", "mean", error / measured, relative / measured);
  detail::print(text + "\n");
}

/// How the mean over the tasks moved, and where each task stands at the last checkpoint.
void print_running(const std::vector<plan::RunningPoint>& points, const std::string& run) {
  std::map<double, std::array<double, 4>> by_share;  // count, predicted, low, high
  for (const plan::RunningPoint& each : points) {
    auto& sums = by_share[each.share];
    sums[0] += 1, sums[1] += each.predicted, sums[2] += each.low, sums[3] += each.high;
  }
  std::string text = fmt::format("{} under way: mean over the tasks\n  {:>8} {:>9} {:>15}\n", run, "seen", "predicted",
                                 "interval");
  for (const auto& [share, sums] : by_share) {
    text += fmt::format("  {:>7.1f}% {:>9.1f} {:>15}\n", 100 * share, 100 * sums[1] / sums[0],
                        points_of(sums[2] / sums[0]) + " - " + points_of(sums[3] / sums[0]));
  }
  text += fmt::format("  {:<16} {:>9} {:>15}  after {:.1f}%\n", "task", "predicted", "interval", 100 * by_share.rbegin()->first);
  for (const plan::RunningPoint& each : points) {
    if (each.share != by_share.rbegin()->first) continue;
    text += fmt::format("  {:<16} {:>9} {:>15}\n", each.task, points_of(each.predicted),
                        points_of(each.low) + " - " + points_of(each.high));
  }
  detail::print(text + "\n");
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
    Json result = {{"predictions", to_json(forecast.predictions)}, {"warnings", forecast.warnings}};
    if (running) result["running"] = to_json(followed);
    print_json(result);
  } else {
    for (const plan::LadderTarget& target : forecast.targets) print_target(forecast, target);
    if (running) print_running(followed, running->name);
    print_warnings(forecast.warnings);
  }
  return 0;
}

}  // namespace tessera::apps
