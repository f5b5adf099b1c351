// `tessera plan ladder`: reads the table, forecasts, prints.
#include "apps/plan_ladder.h"

#include "apps/plan_common.h"
#include "core/log.h"
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

std::string points(const std::optional<double>& fraction) {
  return fraction ? fmt::format("{:.1f}", 100 * *fraction) : "";
}

/// Columns as wide as what stands in them, the first to the left, the rest to the right; empty ones are left out.
std::string columns(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(header.size(), 0);
  for (size_t c = 0; c < header.size(); ++c) {
    for (const auto& row : rows) widths[c] = std::max(widths[c], row[c].size());
    if (widths[c] > 0) widths[c] = std::max(widths[c], header[c].size());
  }
  const auto add = [&](const std::vector<std::string>& row) {
    std::string line = fmt::format("  {:<{}}", row[0], widths[0]);
    for (size_t c = 1; c < row.size(); ++c) {
      if (widths[c] > 0) line += fmt::format("  {:>{}}", row[c], widths[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + '\n';
  };
  std::string text = add(header);
  for (const auto& row : rows) text += add(row);
  return text;
}

void print_target(const plan::LadderForecast& forecast, const plan::LadderTarget& target) {
  std::vector<std::vector<std::string>> rows;
  double predicted = 0, actual = 0, error = 0, relative = 0, measured = 0;
  for (const plan::LadderPrediction& each : forecast.predictions) {
    if (each.target != target.name) continue;
    const std::string interval = each.low ? points(each.low) + " - " + points(each.high) : "";
    rows.push_back({each.task, points(each.predicted), interval, points(each.actual), "", ""});
    predicted += each.predicted;
    if (!each.abs_error_points || !each.rel_error_percent) continue;
    rows.back()[4] = fmt::format("{:.1f} ", *each.abs_error_points);
    rows.back()[5] = fmt::format("{:.1f} ", *each.rel_error_percent);
    actual += *each.actual, error += *each.abs_error_points, relative += *each.rel_error_percent, ++measured;
  }
  rows.push_back({"mean", points(predicted / static_cast<double>(rows.size())), "", "", "", ""});
  if (measured > 0) {
    rows.back()[3] = points(actual / measured);
    rows.back()[4] = fmt::format("{:.2f}", error / measured),
    rows.back()[5] = fmt::format("{:.2f}", relative / measured);
  }
  detail::print(fmt::format("{}: {} parameters, {} tokens, {} FLOPs\n{}\n", target.name,
                            plan::short_number(target.scale.params), plan::short_number(target.scale.tokens),
                            plan::short_number(target.scale.flops),
                            columns({"task", "predicted %", "interval", "actual", "error", "relative %"}, rows)));
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
  if (options.output.json) {
    print_json({{"predictions", to_json(forecast.predictions)}, {"warnings", forecast.warnings}});
  } else {
    for (const plan::LadderTarget& target : forecast.targets) print_target(forecast, target);
    print_warnings(forecast.warnings);
  }
  if (!options.report.empty()) {
    plan::write_report(plan::ladder_report(table, how, forecast), options.report);
    log_info("the report is in {}", options.report.string());
  }
  return 0;
}

}  // namespace tessera::apps
