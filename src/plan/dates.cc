// std::chrono's calendar does the arithmetic; here is only how dates are spelt.
#include "plan/dates.h"

#include <chrono>

#include <fmt/format.h>

namespace tessera::plan {

namespace {

/// A number of exactly `text.size()` digits; -1 when it is none.
int digits(std::string_view text) {
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return -1;
    value = 10 * value + (c - '0');
  }
  return value;
}

Day day_of(const std::chrono::year_month_day& date) {
  return static_cast<Day>(std::chrono::sys_days(date).time_since_epoch().count());
}

}  // namespace

std::optional<DateSpan> parse_date(std::string_view text) {
  using namespace std::chrono;
  const bool whole = text.size() == 10 && text[7] == '-';
  if ((!whole && text.size() != 7) || text[4] != '-') return std::nullopt;
  const int y = digits(text.substr(0, 4)), m = digits(text.substr(5, 2)), d = whole ? digits(text.substr(8)) : 1;
  if (y < 1990 || y > 2100 || m < 1 || d < 1) return std::nullopt;
  const year_month_day date{year(y), month(static_cast<unsigned>(m)), day(static_cast<unsigned>(d))};
  if (!date.ok()) return std::nullopt;
  const Day first = day_of(date);
  return DateSpan{first, whole ? first : day_of(date.year() / date.month() / last)};
}

std::string format_date(Day day) {
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

}  // namespace tessera::plan
