// Numbers as people write them, and work on threads.
#include "plan/quantity.h"

#include <atomic>
#include <charconv>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

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
  bool sound = error == std::errc() && std::isfinite(value) && value > 0;
  if (sound && rest != end) {
    const double factor = end - rest == 1 ? factor_of(*rest) : 0;
    value *= factor;
    sound = factor > 0 && std::isfinite(value);
  }
  if (sound) return value;
  throw UserError("[plan] {}: got '{}', want a number above 0 such as 6887575552, 6.9e9 or 6.9B", what, text);
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
        if (i < failed_at) failed = std::current_exception(), failed_at = i;
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

}  // namespace tessera::plan
