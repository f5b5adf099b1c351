// Charts of characters: a curve in braille dots with its axes, in ASCII where the locale has nothing else. No line is wider than asked.
#pragma once

#include <string>
#include <vector>

#include "core/terminal.h"

namespace tessera::apps {

struct ChartOptions {
  int columns = 80;  // of the whole chart, at least 20
  int rows = 12;     // of the plot itself, at least 2
  Terminal look;     // colours and characters
};

/// A curve through points, x rising and from 0 or more, all numbers finite. Lines without breaks: the title, the plot's rows, the axis and
/// its labels; each takes exactly `columns` places on the screen. `title` is cut where it is too long. Where all y are above zero
/// and lie far apart, the y axis is logarithmic and says so.
std::vector<std::string> draw_chart(const std::string& title, const std::vector<double>& x,
                                    const std::vector<double>& y, const ChartOptions& options);

/// Charts of one height beside each other, two blanks between them.
std::vector<std::string> beside(const std::vector<std::vector<std::string>>& charts);

/// Values at round distances within [low, high], about `wanted` of them, and their labels.
struct Ticks {
  std::vector<double> at;
  std::vector<std::string> labels;
};
Ticks round_ticks(double low, double high, int wanted);

}  // namespace tessera::apps
