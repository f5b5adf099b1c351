// Calendar dates as tables write them. A date is a day; a month alone stands for all of its days.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tessera::plan {

/// Days since 1970-01-01.
using Day = int;

inline constexpr double kDaysPerMonth = 365.25 / 12;

/// What a cell says: one day, or a month's first to last.
struct DateSpan {
  Day first = 0, last = 0;

  /// The day that stands for the span: the 15th of a month, as near to all its days as one day can be.
  Day middle() const { return first == last ? first : first + 14; }
};

/// Reads "2023-02-24" or "2023-02"; nullopt for anything else: other orders, days that no calendar has, years outside
/// 1990 to 2100.
std::optional<DateSpan> parse_date(std::string_view text);

/// "2023-02-24".
std::string format_date(Day day);

}  // namespace tessera::plan
