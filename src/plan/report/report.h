// One page of a plan for people: text, headline numbers, tables and plots in a single HTML file that loads nothing from
// anywhere. The plots are drawn in the browser by D3, which is embedded in the page (option TESSERA_PLOTS).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/files.h"

namespace tessera::plan {

/// How an axis runs. On `time`, values are days since 1970-01-01 (fractions allowed).
enum class Scale { linear, log, time };

struct Axis {
  std::string label;
  Scale scale = Scale::linear;
  bool percent = false;             // values are fractions and are shown as percentages
  std::optional<double> low, high;  // ends of the axis; points outside are cut off. Absent: from the data
  std::vector<std::string>
      names;  // x only: the axis counts 0, 1, 2 ... and shows these names; values between are drawn between
};

/// Series that share a name share one entry of the legend, and with it the switch that hides them; an empty name has
/// none. `colour` is an index into the page's colours, taken round when it is too large. A ring is a hollow point: it can
/// stand around another.
struct Series {
  enum class Kind { points, rings, line, dashed, band, interval };
  static constexpr int kNeutral = -1;  // grey: what is there for comparison

  Kind kind = Kind::points;
  std::string name;
  int colour = 0;
  std::vector<double> x, y;       // `band` has no y
  std::vector<double> low, high;  // `band` and `interval` only
  std::vector<std::string> tips;  // one per x, or none at all: the name and the values are shown then
};

/// A straight line across the figure, with its label beside it.
struct Rule {
  bool vertical = false;
  double at = 0;
  std::string label;
};

/// What an axis cannot show (NaN, infinities, values not above 0 on a log axis) is left out.
struct Figure {
  std::string title, caption;
  Axis x, y;
  std::vector<Series> series;
  std::vector<Rule> rules;
};

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::vector<bool> numeric;  // columns that are aligned to the right; those not named are text
  std::string caption;
  bool wrapped = false;  // texts of the cells break into lines
};

/// "12.3%" for 0.123.
std::string percent(double fraction, int decimals = 1);

/// A page, written from top to bottom. All text is plain text: what looks like HTML in it is shown as it is.
class Report {
 public:
  /// `maker` is what the foot of the page says that it was made by.
  Report(std::string title, std::string subtitle, std::string maker = "tessera plan");

  void section(std::string_view title);
  void paragraph(std::string_view text);
  /// A warning in a box.
  void note(std::string_view text);
  /// Headline numbers: label and value, each a card.
  void facts(const std::vector<std::pair<std::string, std::string>>& facts);
  /// One figure takes the full width, several stand in a grid and share a legend where theirs are equal. Throws
  /// UserError when the lists of a series differ in length or an axis has no room between its ends.
  void figures(const std::vector<Figure>& figures);
  /// Throws UserError when a row has another number of cells than the header.
  void table(const Table& table);

  /// The whole page. The same calls give the same bytes.
  std::string html() const;

 private:
  std::string title_, subtitle_, maker_, body_;
  size_t figure_count_ = 0;
};

/// Writes the page atomically.
void write_report(const Report& report, const Path& path);

}  // namespace tessera::plan
