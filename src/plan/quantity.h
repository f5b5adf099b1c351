// Numbers as people write and read them, what can be wrong with them, and work on threads.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace tessera::plan {

/// A number above 0 with an optional k, M, B (or G), T. Throws UserError that names `what`.
double parse_quantity(const std::string& text, const std::string& what);

/// A number as figures and tables write it: "0.25", "190M", "1.3T", "6.1e21". Four significant digits.
std::string short_number(double value);

/// "80%" for 0.8: how intervals say their level.
std::string level_text(double coverage);
/// Throws UserError unless `coverage` is above 0 and at most 0.999, beyond which neither hindcasts nor resamples say
/// anything.
void check_coverage(double coverage);

/// What is wrong with a number of parameters or, where `field` is "tokens", of tokens, as the end of a message: one that
/// lacks its unit ("7" for 7 billion) or that nobody trains; "" when nothing is.
std::string count_fault(double value, std::string_view field);
/// The same for a score, which is a fraction: percentages are named as such.
std::string score_fault(double value);

/// Calls `work(0) ... work(count - 1)`, each once, on `threads` threads (0: one per core). An exception is thrown again
/// here.
void for_each_on_threads(size_t count, int threads, const std::function<void(size_t)>& work);

/// Days since 1970-01-01.
using Day = int;

inline constexpr double kDaysPerMonth = 365.25 / 12;

/// What a cell says: one day, or a month's first to last.
struct DateSpan {
  Day first = 0, last = 0;

  /// The middle day of the span; of a month the 15th.
  Day middle() const { return first == last ? first : first + 14; }
};

/// Reads "2023-02-24" or "2023-02"; nullopt for anything else: other orders, days that no calendar has, years outside
/// 1990 to 2100.
std::optional<DateSpan> parse_date(std::string_view text);

/// "2023-02-24".
std::string format_date(Day day);

}  // namespace tessera::plan
