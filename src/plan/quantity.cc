// Numbers as people write them, and work on threads.
#include "plan/quantity.h"

#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"

namespace tessera::plan {

namespace {
double factor_of(char suffix) {
  switch (suffix) {
    case 'k':
    case 'K':
      return 1e3;
    case 'M':
      return 1e6;
    case 'B':
    case 'G':
      return 1e9;
    case 'T':
      return 1e12;
    default:
      return 0;
  }
}
}  // namespace

double parse_quantity(const std::string& text, const std::string& what) {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  bool valid = error == std::errc() && std::isfinite(value) && value > 0;
  if (valid && rest != end) {
    const double factor = end - rest == 1 ? factor_of(*rest) : 0;
    value *= factor;
    valid = factor > 0 && std::isfinite(value);
  }
  if (valid) return value;
  throw UserError("[plan] {}: got '{}', want a number above 0 such as 6887575552, 6.9e9 or 6.9B", what, text);
}

std::string level_text(double coverage) { return fmt::format("{:.3g}%", 100 * coverage); }

void check_coverage(double coverage) {
  if (coverage > 0 && coverage <= 0.999) return;
  throw UserError("[plan] coverage: got {}, want a share above 0 and at most 0.999, such as 0.8", coverage);
}

std::string count_fault(double value, std::string_view field) {
  constexpr double fewest = 1000, most = 1e18;  // beyond are slips, and numbers that overflow
  if (!(value > 0)) return fmt::format("got {}, want a number above 0", value);
  if (value > most) return fmt::format("got {}, want at most {:g}", value, most);
  if (value >= fewest) return "";
  const bool tokens = field == "tokens";
  return fmt::format("got {}, want the full number of {}; {} should be written {}", value,
                     tokens ? "tokens" : "parameters", tokens ? "2 trillion" : "7 billion", tokens ? "2e12" : "7e9");
}

std::string score_fault(double value) {
  if (value >= 0 && value <= 1) return "";
  const std::string fault = fmt::format("got {}, want a fraction in [0, 1]", value);
  return value > 1 && value <= 100 ? fault + "; these look like percentages, divide by 100" : fault;
}

std::string short_number(double value) {
  const double size = std::abs(value);
  if (!std::isfinite(value)) return "n/a";
  if (size == 0) return "0";
  if (size >= 1e15 || size < 1e-4) {
    const std::string text = fmt::format("{:.3e}", value);  // 6.100e+21
    const size_t e = text.find('e');
    return fmt::format("{:g}e{}", std::stod(text.substr(0, e)), std::stoi(text.substr(e + 1)));
  }
  struct Unit {
    double size;
    const char* name;
  };
  for (const Unit unit : {Unit{1e12, "T"}, Unit{1e9, "B"}, Unit{1e6, "M"}, Unit{1e3, "k"}}) {
    if (size >= 0.99995 * unit.size) return fmt::format("{:.4g}{}", value / unit.size, unit.name);
  }
  return fmt::format("{:.4g}", value);
}

void for_each_on_threads(size_t count, int threads, const std::function<void(size_t)>& work) {
  const size_t cores = std::max(1u, std::thread::hardware_concurrency());
  const size_t hands = std::min(count, threads > 0 ? static_cast<size_t>(threads) : cores);
  std::atomic<size_t> next = 0;
  std::exception_ptr failed;  // of the first in order, whichever thread is done first: all before it have been begun
  size_t failed_at = count;
  std::mutex guard;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(guard);
        if (i < failed_at) {
          failed = std::current_exception();
          failed_at = i;
        }
        next = count;
      }
    }
  };
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < hands; ++i) helpers.emplace_back(run);
  run();
  for (std::thread& helper : helpers) helper.join();
  if (failed) std::rethrow_exception(failed);
}

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
