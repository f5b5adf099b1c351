// `tessera plan ladder`: reads the table, forecasts, prints.
#include "apps/plan_ladder.h"

#include "apps/plan_common.h"
#include "plan/ladder_report.h"
#include "plan/quantity.h"

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
  how.seed = options.seed, how.threads = options.threads;
  return how;
}

std::string points(const std::optional<double>& fraction) { return fraction ? fmt::format("{:.1f}", 100 * *fraction) : ""; }

void print_target(const plan::LadderForecast& forecast, const plan::LadderTarget& target) {
  std::string text = fmt::format("{}: {} parameters, {} tokens, {} FLOPs\n", target.name,
                                 plan::short_number(target.scale.params), plan::short_number(target.scale.tokens),
                                 plan::short_number(target.scale.flops));
  text += fmt::format("  {:<16} {:>9} {:>15} {:>8} {:>7} {:>7}\n", "task", "predicted", "interval", "actual", "error",
                      "rel.");
  double error = 0, relative = 0, measured = 0;
  for (const plan::LadderPrediction& each : forecast.predictions) {
    if (each.target != target.name) continue;
    const std::string interval = each.low ? points(each.low) + " - " + points(each.high) : "";
    text += fmt::format("  {:<16} {:>9} {:>15} {:>8}", each.task, points(each.predicted), interval, points(each.actual));
    if (each.abs_error_points && each.rel_error_percent) {
      text += fmt::format(" {:>7.1f} {:>6.1f}%", *each.abs_error_points, *each.rel_error_percent);
      error += *each.abs_error_points, relative += *each.rel_error_percent, ++measured;
    }
    text += '\n';
  }
  if (measured > 0) text += fmt::format("  {:<51} {:>7.2f} {:>6.2f}%\n", "mean", error / measured, relative / measured);
  detail::print(text + "\n");
}

}  // namespace

int run_plan_ladder(const PlanLadderOptions& options) {
  apply(options.output);
  if (!options.report.empty()) require_writable(options.report, "plan");
  const plan::LadderOptions how = ladder_options(options);
  const plan::LadderTable table = plan::read_ladder_table(options.runs);
  plan::LadderForecast forecast;
  {
    ForecastBar bar;
    forecast = plan::forecast_ladder(table, how, bar.steps());
  }
  if (!options.report.empty()) plan::write_report(plan::ladder_report(table, how, forecast), options.report);
  if (options.output.json) {
    print_json({{"predictions", to_json(forecast.predictions)}, {"warnings", forecast.warnings}});
  } else {
    for (const plan::LadderTarget& target : forecast.targets) print_target(forecast, target);
    print_warnings(forecast.warnings);
  }
  return 0;
}

}  // namespace tessera::apps
