// Numbers as people write them, and work on threads.
#include <atomic>
#include <charconv>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "plan/ladder.h"

namespace tessera::plan {

namespace {
double factor_of(char suffix) {
  switch (suffix) {
    case 'k':
    case 'K': return 1e3;
    case 'M': return 1e6;
    case 'B':
    case 'G': return 1e9;
    case 'T': return 1e12;
    default: return 0;
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
    sound = factor > 0;
    value *= factor;
  }
  if (sound) return value;
  throw UserError("[plan] {}: got '{}', want a number above 0 such as 6887575552, 6.9e9 or 6.9B", what, text);
}

LadderTarget parse_target(const std::string& text) {
  const size_t equals = text.find('='), colon = text.find(':', equals == std::string::npos ? 0 : equals);
  if (equals == std::string::npos || colon == std::string::npos || equals == 0) {
    throw UserError("[plan] target: got '{}', want NAME=N:D, for example 7B=6.9B:3.9T", text);
  }
  LadderTarget target{text.substr(0, equals), {}};
  target.scale.params = parse_quantity(text.substr(equals + 1, colon - equals - 1), "parameters of target " + target.name);
  target.scale.tokens = parse_quantity(text.substr(colon + 1), "tokens of target " + target.name);
  target.scale.flops = flops_per_token_of(target.scale.params) * target.scale.tokens;
  return target;
}

std::string short_quantity(double value) {
  static constexpr std::pair<double, const char*> units[] = {{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}};
  if (value >= 1e15) return fmt::format("{:.2g}", value);
  for (const auto& [unit, name] : units) {
    if (value >= unit) return fmt::format("{:.3g}{}", value / unit, name);
  }
  return fmt::format("{:.3g}", value);
}

void for_each_on_threads(size_t count, int threads, const std::function<void(size_t)>& work) {
  const size_t cores = std::max(1u, std::thread::hardware_concurrency());
  const size_t hands = std::min(count, threads > 0 ? static_cast<size_t>(threads) : cores);
  std::atomic<size_t> next = 0;
  std::exception_ptr failed;
  std::mutex guard;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(guard);
        if (!failed) failed = std::current_exception();
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
