// `tessera inspect RUN --plot`: one chart for each metric, none wider than the terminal.
#include <algorithm>

#include "apps/inspect.h"
#include "apps/terminal_chart.h"

namespace tessera::apps {

namespace {

constexpr int widest_chart = 160, large_rows = 12, small_rows = 6, least_beside = 38;

/// Names of metrics are this program's own; a file that somebody else wrote moves no cursor.
std::string plain_name(const std::string& name) {
  std::string plain = without_control_characters(name);
  std::replace_if(
      plain.begin(), plain.end(), [](unsigned char c) { return c >= 0x80; }, '?');
  return plain;
}

/// "loss 0.3127 at step 2800 (0.3011 to 0.6931)", or less of it where there is no room.
std::string title_of(const MetricSeries& series, int columns) {
  const auto [least, most] = std::minmax_element(series.values.begin(), series.values.end());
  const std::string name = fmt::format("{} {:.4g}", plain_name(series.name), series.values.back());
  const std::string step = name + fmt::format(" at step {:.15g}", series.steps.back());
  const std::string range = step + fmt::format(" ({:.4g} to {:.4g})", *least, *most);
  for (const std::string& title : {range, step}) {
    if (static_cast<int>(title.size()) + 6 <= columns) return title;  // " (log)" may follow
  }
  return name;
}

std::vector<std::string> chart_of(const MetricSeries& series, int columns, int rows, const Terminal& look) {
  return draw_chart(title_of(series, columns), series.steps, series.values,
                    {.columns = columns, .rows = rows, .look = look});
}

std::string text_of(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace

std::string plot_text(const std::vector<MetricSeries>& series, const Terminal& terminal) {
  if (series.empty()) return "";
  const int columns = std::min(terminal.columns, widest_chart);
  std::string text = text_of(chart_of(series.front(), columns, large_rows, terminal));
  const auto abreast = static_cast<size_t>(std::max(1, (columns + 2) / (least_beside + 2)));
  const int width = (columns + 2) / static_cast<int>(abreast) - 2;
  for (size_t begin = 1; begin < series.size(); begin += abreast) {
    std::vector<std::vector<std::string>> row;
    for (size_t i = begin; i < std::min(begin + abreast, series.size()); ++i)
      row.push_back(chart_of(series[i], width, small_rows, terminal));
    text += "\n" + text_of(beside(row));
  }
  return text;
}

}  // namespace tessera::apps
