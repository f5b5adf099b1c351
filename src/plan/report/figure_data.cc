// Points that their axes cannot show are dropped here, so that neither the page nor the table meets them.
#include "plan/report/figure_data.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "plan/quantity.h"

namespace tessera::plan {

namespace {

using Kind = Series::Kind;

bool has_y(const Series& series) { return series.kind != Kind::band; }
bool has_range(const Series& series) { return series.kind == Kind::band || series.kind == Kind::interval; }
bool is_curve(const Series& series) {
  return series.kind == Kind::line || series.kind == Kind::dashed || series.kind == Kind::band;
}

bool can_show(const Axis& axis, double value) {
  return std::isfinite(value) && (axis.scale != Scale::log || value > 0);
}

/// Indices of the points that can be shown.
std::vector<size_t> shown_points(const Figure& figure, const Series& series) {
  std::vector<size_t> shown;
  for (size_t i = 0; i < series.x.size(); ++i) {
    bool good = can_show(figure.x, series.x[i]);
    if (has_y(series)) good = good && can_show(figure.y, series.y[i]);
    if (has_range(series)) good = good && can_show(figure.y, series.low[i]) && can_show(figure.y, series.high[i]);
    if (good) shown.push_back(i);
  }
  return shown;
}

template <class T> Json chosen(const std::vector<T>& values, const std::vector<size_t>& indices) {
  Json list = Json::array();
  for (const size_t i : indices) list.push_back(values[i]);
  return list;
}

void check_length(const Figure& figure, const Series& series, const char* what, size_t got, bool wanted) {
  const size_t want = wanted ? series.x.size() : 0;
  if (got == want) return;
  throw UserError("[plan] figure '{}', series '{}': lists differ in length; got {} {} for {} x, want {}", figure.title,
                  series.name, got, what, series.x.size(), want);
}

void check_axis(const Figure& figure, const char* name, const Axis& axis) {
  for (const auto& end : {axis.low, axis.high}) {
    if (end && !can_show(axis, *end))
      throw UserError("[plan] figure '{}': {} axis cannot end there; got {}, want a {}number", figure.title, name, *end,
                      axis.scale == Scale::log ? "positive " : "finite ");
  }
  if (axis.low && axis.high && *axis.low >= *axis.high)
    throw UserError("[plan] figure '{}': {} axis has no room; got {} to {}, want low < high", figure.title, name,
                    *axis.low, *axis.high);
}

Json axis_json(const Axis& axis) {
  static constexpr std::array names = {"linear", "log", "time"};
  Json json = {{"label", axis.label}, {"scale", names[static_cast<size_t>(axis.scale)]}, {"percent", axis.percent}};
  if (!axis.names.empty()) return {{"label", axis.label}, {"scale", "names"}, {"names", axis.names}};
  if (axis.low) json["low"] = *axis.low;
  if (axis.high) json["high"] = *axis.high;
  return json;
}

Json series_json(const Figure& figure, const Series& series) {
  static constexpr std::array names = {"points", "rings", "line", "dashed", "band", "interval"};
  const auto shown = shown_points(figure, series);
  Json json = {{"kind", names[static_cast<size_t>(series.kind)]}, {"name", series.name}, {"colour", series.colour}};
  json["x"] = chosen(series.x, shown);
  if (has_y(series)) json["y"] = chosen(series.y, shown);
  if (has_range(series)) {
    json["low"] = chosen(series.low, shown);
    json["high"] = chosen(series.high, shown);
  }
  if (!series.tips.empty()) json["tips"] = chosen(series.tips, shown);
  return json;
}

}  // namespace

void check_figure(const Figure& figure) {
  check_axis(figure, "x", figure.x);
  check_axis(figure, "y", figure.y);
  if (!figure.y.names.empty()) {
    throw UserError("[plan] figure '{}': the y axis got {} names; want them on the x axis", figure.title,
                    figure.y.names.size());
  }
  for (const auto& series : figure.series) {
    check_length(figure, series, "y", series.y.size(), has_y(series));
    check_length(figure, series, "low", series.low.size(), has_range(series));
    check_length(figure, series, "high", series.high.size(), has_range(series));
    check_length(figure, series, "tips", series.tips.size(), !series.tips.empty());
  }
}

Json figure_json(const Figure& figure) {
  Json json = {{"title", figure.title}, {"x", axis_json(figure.x)}, {"y", axis_json(figure.y)}};
  json["series"] = Json::array();
  json["rules"] = Json::array();
  for (const auto& series : figure.series) json["series"].push_back(series_json(figure, series));
  for (const auto& rule : figure.rules) {
    if (!can_show(rule.vertical ? figure.x : figure.y, rule.at)) continue;
    json["rules"].push_back({{"vertical", rule.vertical}, {"at", rule.at}, {"label", rule.label}});
  }
  return json;
}

Table figure_table(const Figure& figure) {
  constexpr size_t curve_rows = 12;
  const auto any = [&](auto&& test) { return std::any_of(figure.series.begin(), figure.series.end(), test); };
  const bool ranges = any(has_range), tips = any([](const Series&series) { return !series.tips.empty(); });
  Table table{.header = {"series", figure.x.label, figure.y.label}, .numeric = {false, true, true}};
  if (ranges) {
    table.header.insert(table.header.end(), {"low", "high"});
    table.numeric.resize(5, true);
  }
  if (tips) table.header.push_back("point");
  for (const auto& series : figure.series) {
    const auto shown = shown_points(figure, series);
    const size_t rows = is_curve(series) ? std::min(curve_rows, shown.size()) : shown.size();
    for (size_t row = 0; row < rows; ++row) {
      const size_t i = shown[rows > 1 ? row * (shown.size() - 1) / (rows - 1) : 0];
      std::vector<std::string> cells = {series.name, axis_value(figure.x, series.x[i])};
      const auto put = [&](bool there, const std::vector<double>& values) {
        cells.push_back(there ? axis_value(figure.y, values[i]) : "");
      };
      put(has_y(series), series.y);
      if (ranges) {
        put(has_range(series), series.low);
        put(has_range(series), series.high);
      }
      if (tips) cells.push_back(series.tips.empty() ? "" : series.tips[i]);
      table.rows.push_back(std::move(cells));
    }
  }
  for (const auto& rule : figure.rules) {
    std::vector<std::string> cells(table.header.size());
    cells[0] = rule.label;
    cells[rule.vertical ? 1 : 2] = axis_value(rule.vertical ? figure.x : figure.y, rule.at);
    table.rows.push_back(std::move(cells));
  }
  return table;
}

std::string axis_value(const Axis& axis, double value) {
  constexpr double calendar = 4e6;  // days; beyond about 11,000 years a date is a mistake
  if (!axis.names.empty()) {
    const double last = static_cast<double>(axis.names.size()) - 1;
    return axis.names[static_cast<size_t>(std::clamp(std::round(value), 0.0, last))];
  }
  if (axis.scale == Scale::time && std::abs(value) < calendar) return format_date(static_cast<Day>(std::floor(value)));
  return axis.percent ? fmt::format("{:.1f}%", 100 * value) : short_number(value);
}

}  // namespace tessera::plan
