// A cell of the screen holds two by four braille dots, or one mark in ASCII; the curve is drawn on that finer grid.
#include "apps/terminal_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace tessera::apps {

namespace {

constexpr double far_apart = 50;  // highest over lowest value from which on an axis is logarithmic
constexpr std::string_view bold = "\033[1m", faint = "\033[2m", cyan = "\033[36m";

/// Text, and how many places it takes on the screen.
struct Placed {
  std::string text;
  int width = 0;

  void add(std::string_view more, int places) {
    text += more;
    width += places;
  }
  void add_ascii(std::string_view more) { add(more, static_cast<int>(more.size())); }
  void fill_to(int places) {
    if (width < places) add_ascii(std::string(static_cast<size_t>(places - width), ' '));
  }
};

/// Dots of a plot; the first is at the top left.
class Dots {
 public:
  Dots(int columns, int rows, bool braille)
      : across_(braille ? 2 : 1), down_(braille ? 4 : 1), columns_(columns), rows_(rows),
        cells_(static_cast<size_t>(columns) * static_cast<size_t>(rows)) {}

  int width() const { return columns_ * across_; }
  int height() const { return rows_ * down_; }

  void line(int x0, int y0, int x1, int y1) {
    const int steps = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1});
    for (int i = 0; i <= steps; ++i) {
      const double share = static_cast<double>(i) / steps;
      set(static_cast<int>(std::lround(x0 + share * (x1 - x0))), static_cast<int>(std::lround(y0 + share * (y1 - y0))));
    }
  }

  std::string row(int number) const {
    std::string text;
    for (int column = 0; column < columns_; ++column) text += glyph(cells_[cell(column, number)]);
    return text;
  }

 private:
  size_t cell(int column, int row) const { return static_cast<size_t>(row * columns_ + column); }

  void set(int x, int y) {
    static constexpr unsigned char bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    unsigned char& dots = cells_[cell(x / across_, y / down_)];
    dots = static_cast<unsigned char>(dots | bits[y % down_][x % across_]);
  }

  std::string glyph(unsigned char dots) const {
    if (dots == 0) return " ";
    if (down_ == 1) return "*";
    const unsigned code = 0x2800u + dots;  // U+2800: braille without dots
    return {static_cast<char>(0xe0 | (code >> 12)), static_cast<char>(0x80 | ((code >> 6) & 0x3f)),
            static_cast<char>(0x80 | (code & 0x3f))};
  }

  int across_, down_, columns_, rows_;
  std::vector<unsigned char> cells_;
};

std::string number_text(double value, int decimals) {
  if (std::fabs(value) >= 1e9) return fmt::format("{:g}", value);
  if (std::fabs(value) >= 1e6) return fmt::format("{:g}M", value / 1e6);
  if (std::fabs(value) >= 1e4) return fmt::format("{:g}k", value / 1e3);
  if (decimals > 4) return fmt::format("{:g}", value);
  return fmt::format("{:.{}f}", value, decimals);
}

/// 1, 2 or 5 times powers of ten, as the logarithms that the axis counts in.
Ticks log_ticks(double low, double high, int wanted) {
  Ticks ticks;
  const bool halves = 3 * (high - low) <= wanted;
  for (int power = static_cast<int>(std::floor(low)); power <= static_cast<int>(std::floor(high)); ++power) {
    for (const double step : {1.0, 2.0, 5.0}) {
      const double value = step * std::pow(10.0, power);
      if ((step != 1 && !halves) || std::log10(value) < low || std::log10(value) > high) continue;
      ticks.at.push_back(std::log10(value));
      ticks.labels.push_back(number_text(value, power < 0 ? -power : 0));
    }
  }
  if (ticks.at.size() < 2) {
    ticks.at = {low, high};
    ticks.labels = {fmt::format("{:.3g}", std::pow(10.0, low)), fmt::format("{:.3g}", std::pow(10.0, high))};
  }
  return ticks;
}

/// A third of the rows have a tick, more where that would be a single one.
Ticks linear_ticks(double low, double high, int rows) {
  Ticks ticks;
  for (int wanted = std::max(2, rows / 3); ticks.at.size() < 2 && wanted <= 2 * std::max(2, rows); wanted *= 2)
    ticks = round_ticks(low, high, wanted);
  return ticks;
}

/// The y axis: its ends, its ticks, and whether it counts in logarithms.
struct YAxis {
  double low = 0, high = 1;
  bool log = false;
  Ticks ticks;
  int label_width = 0;

  YAxis(const std::vector<double>& y, int rows) {
    const auto [least, most] = std::minmax_element(y.begin(), y.end());
    if (!y.empty()) low = *least;
    if (!y.empty()) high = *most;
    log = low > 0 && high / low >= far_apart;
    if (log) {
      low = std::log10(low);
      high = std::log10(high);
    }
    if (!(high - low > 1e-12 * std::max(std::fabs(low), std::fabs(high)))) {
      const double room = low == 0 ? 1 : std::fabs(low) * 0.1;
      high = low + room;
      low -= room;
    }
    ticks = log ? log_ticks(low, high, rows) : linear_ticks(low, high, rows);
    for (const std::string& label : ticks.labels) label_width = std::max(label_width, static_cast<int>(label.size()));
  }
  /// 0 at the bottom, 1 at the top.
  double share(double tick) const { return std::clamp((tick - low) / (high - low), 0.0, 1.0); }
  double share_of_value(double value) const { return share(log ? std::log10(value) : value); }
};

struct Frame {
  const char *upright, *tick, *corner, *level, *level_tick;
};
constexpr Frame unicode_frame = {"│", "┤", "└", "─", "┬"};
constexpr Frame ascii_frame = {"|", "+", "+", "-", "+"};

/// The means of points that fall into one column of dots, joined by lines.
void draw_curve(Dots& dots, const std::vector<double>& x, const std::vector<double>& y, double last,
                const YAxis& axis) {
  std::vector<std::pair<double, int>> sums(static_cast<size_t>(dots.width()));
  for (size_t i = 0; i < x.size(); ++i) {
    const double share = std::clamp(x[i] / last, 0.0, 1.0);
    auto& [sum, count] = sums[static_cast<size_t>(std::lround(share * (dots.width() - 1)))];
    sum += axis.share_of_value(y[i]);
    ++count;
  }
  int before_x = -1, before_y = 0;
  for (int column = 0; column < dots.width(); ++column) {
    const auto& [sum, count] = sums[static_cast<size_t>(column)];
    if (count == 0) continue;
    const int row = static_cast<int>(std::lround((1 - sum / count) * (dots.height() - 1)));
    if (before_x < 0) dots.line(column, row, column, row);
    else dots.line(before_x, before_y, column, row);
    before_x = column;
    before_y = row;
  }
}

/// The axis below the plot and the labels below that.
std::pair<std::string, std::string> x_axis(int left, int columns, double last, const Frame& frame,
                                           const Terminal& look) {
  const Ticks ticks = round_ticks(0, last, std::max(2, columns / 12));
  std::vector<bool> marked(static_cast<size_t>(columns), false);
  Placed labels;
  for (size_t i = 0; i < ticks.at.size(); ++i) {
    const int column = static_cast<int>(std::lround(ticks.at[i] / last * (columns - 1)));
    marked[static_cast<size_t>(column)] = true;
    const int width = static_cast<int>(ticks.labels[i].size());
    const int begin = std::min(left + 1 + column - width / 2, left + 1 + columns - width);
    if (begin < labels.width + (i == 0 ? 0 : 1)) continue;  // no room beside the one before
    labels.fill_to(begin);
    labels.add_ascii(ticks.labels[i]);
  }
  labels.fill_to(left + 1 + columns);
  std::string line = std::string(static_cast<size_t>(left), ' ') + frame.corner;
  for (const bool mark : marked) line += mark ? frame.level_tick : frame.level;
  return {styled(look, faint, line), styled(look, faint, labels.text)};
}

}  // namespace

Ticks round_ticks(double low, double high, int wanted) {
  Ticks ticks;
  const double rough = (high - low) / std::max(1, wanted);
  const double power = std::floor(std::log10(rough)), unit = std::pow(10.0, power), parts = rough / unit;
  const double factor = parts <= 1 ? 1 : parts <= 2 ? 2 : parts <= 5 ? 5 : 10;
  const double step = factor * unit;
  const int decimals = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
  const double first = std::ceil(low / step - 1e-9);
  for (int i = 0; i <= 100; ++i) {
    const double value = (first + i) * step;
    if (value > high + step * 1e-9) break;
    ticks.at.push_back(value);
    ticks.labels.push_back(number_text(value == 0 ? 0.0 : value, decimals));
  }
  return ticks;
}

std::vector<std::string> draw_chart(const std::string& title, const std::vector<double>& x,
                                    const std::vector<double>& y, const ChartOptions& options) {
  const Terminal& look = options.look;
  const Frame& frame = look.unicode ? unicode_frame : ascii_frame;
  const YAxis axis(y, options.rows);
  const int left = axis.label_width + 1, columns = std::max(4, options.columns - left - 1);
  const double last = x.empty() || x.back() <= 0 ? 1 : x.back();

  Placed head;
  head.add_ascii((title + (axis.log ? " (log)" : "")).substr(0, static_cast<size_t>(options.columns)));
  head.fill_to(options.columns);
  std::vector<std::string> lines = {styled(look, bold, head.text)};

  Dots dots(columns, options.rows, look.unicode);
  draw_curve(dots, x, y, last, axis);
  std::vector<std::string> labels(static_cast<size_t>(options.rows));
  for (size_t i = 0; i < axis.ticks.at.size(); ++i) {
    const double from_top = (1 - axis.share(axis.ticks.at[i])) * (options.rows - 1);
    std::string& label = labels[static_cast<size_t>(std::lround(from_top))];
    if (label.empty()) label = axis.ticks.labels[i];  // of two in one row the lower one
  }
  for (int row = 0; row < options.rows; ++row) {
    const std::string& label = labels[static_cast<size_t>(row)];
    const std::string margin =
        fmt::format("{:>{}} {}", label, axis.label_width, label.empty() ? frame.upright : frame.tick);
    lines.push_back(styled(look, faint, margin) + styled(look, cyan, dots.row(row)));
  }
  const auto [line, numbers] = x_axis(left, columns, last, frame, look);
  lines.push_back(line);
  lines.push_back(numbers);
  return lines;
}

std::vector<std::string> beside(const std::vector<std::vector<std::string>>& charts) {
  std::vector<std::string> lines;
  for (const auto& chart : charts) {
    for (size_t i = 0; i < chart.size(); ++i) {
      if (lines.size() <= i) lines.push_back(chart[i]);
      else lines[i] += "  " + chart[i];
    }
  }
  return lines;
}

}  // namespace tessera::apps
