// One figure for the mean, small ones for the tasks: share of training seen against the forecast and its interval.
#include "plan/ladder/ladder_report.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace tessera::plan {

namespace {

Figure figure_of(const std::string& title, const std::vector<RunningPoint>& points, double coverage) {
  Figure figure{.title = title,
                .x = {.label = "share of training seen", .percent = true},
                .y = {.label = "final accuracy, forecast", .percent = true}};
  Series band{.kind = Series::Kind::band, .name = fmt::format("{:.3g}% interval", 100 * coverage)};
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

std::vector<RunningPoint> mean_over_tasks(const std::vector<RunningPoint>& points) {
  std::map<double, std::pair<RunningPoint, double>> by_tokens;  // sums, count
  for (const RunningPoint& each : points) {
    auto& [sum, count] = by_tokens[each.tokens];
    sum.tokens = each.tokens;
    sum.share = each.share;
    sum.predicted += each.predicted;
    sum.low += each.low;
    sum.high += each.high;
    ++count;
  }
  std::vector<RunningPoint> means;
  for (auto& [tokens, sums] : by_tokens) {
    auto& [mean, count] = sums;
    mean.task = "mean";
    mean.predicted /= count;
    mean.low /= count;
    mean.high /= count;
    means.push_back(mean);
  }
  return means;
}

void add_running(Report& report, const std::string& run, const std::vector<RunningPoint>& points, double coverage) {
  report.section("Under way: " + run);
  report.paragraph(
      "Each checkpoint's loss, carried to the end of training as the rungs' own losses went from the same share of "
      "theirs, "
      "and weighed against the ladder's forecast. Means over the tasks first, of forecasts and of interval ends.");
  report.figures({figure_of("Mean over the tasks", mean_over_tasks(points), coverage)});
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
