// One figure for the mean, small ones for the tasks: share of training seen against the forecast and its interval.
#include "plan/ladder/ladder_report.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "plan/quantity.h"

namespace tessera::plan {

namespace {

Figure figure_of(const std::string& title, const std::vector<RunningPoint>& points, double coverage) {
  Figure figure{.title = title,
                .x = {.label = "share of training seen", .percent = true},
                .y = {.label = "final accuracy, forecast", .percent = true}};
  Series band{.kind = Series::Kind::band, .name = level_text(coverage) + " interval"};
  Series line{.kind = Series::Kind::line, .name = "forecast"};
  for (const RunningPoint& point : points) {
    band.x.push_back(point.share);
    line.x.push_back(point.share);
    band.low.push_back(point.low);
    band.high.push_back(point.high);
    line.y.push_back(point.predicted);
  }
  figure.series = {band, line};
  return figure;
}

}  // namespace

std::vector<RunningPoint> mean_over_tasks(const std::vector<RunningPoint>& points, const LadderForecast& forecast) {
  std::map<std::string, double> weights;
  for (size_t t = 0; t < forecast.tasks.size(); ++t) weights[forecast.predictions[t].task] = forecast.weights[t];
  std::map<double, std::pair<RunningPoint, double>> by_tokens;  // sums, weight
  for (const RunningPoint& each : points) {
    const double weight = weights.at(each.task);
    auto& [sum, total] = by_tokens[each.tokens];
    sum.tokens = each.tokens;
    sum.share = each.share;
    sum.predicted += weight * each.predicted;
    sum.low += weight * each.low;
    sum.high += weight * each.high;
    total += weight;
  }
  std::vector<RunningPoint> means;
  for (auto& [tokens, sums] : by_tokens) {
    auto& [mean, total] = sums;
    mean.task = "mean";
    mean.predicted /= total;
    mean.low /= total;
    mean.high /= total;
    means.push_back(mean);
  }
  return means;
}

void add_running(Report& report, const std::string& run, const std::vector<RunningPoint>& points,
                 const LadderForecast& forecast, double coverage) {
  report.section("Under way: " + run);
  report.paragraph(
      "Each checkpoint's loss, carried to the end of training as the rungs' own losses went from the same share of "
      "theirs, and weighed against the ladder's forecast. Means over the tasks first, of forecasts and of interval "
      "ends.");
  report.figures({figure_of("Mean over the tasks", mean_over_tasks(points, forecast), coverage)});
  std::vector<std::string> tasks;
  for (const RunningPoint& each : points) {
    if (std::find(tasks.begin(), tasks.end(), each.task) == tasks.end()) tasks.push_back(each.task);
  }
  std::vector<Figure> figures;
  for (const std::string& task : tasks) {
    std::vector<RunningPoint> own;
    std::copy_if(points.begin(), points.end(), std::back_inserter(own), [&](auto& each) { return each.task == task; });
    figures.push_back(figure_of(task, own, coverage));
  }
  report.figures(figures);
}

}  // namespace tessera::plan
