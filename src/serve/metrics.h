// What the server counts, always, in Prometheus' text format. Counting costs an atomic addition.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace tessera::serve {

class Counter {
 public:
  void add(uint64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

/// Seconds in buckets from 1 ms to 5 minutes.
class Histogram {
 public:
  static constexpr std::array<double, 17> bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                                                    1,     2.5,    5,     10,   30,    60,   120, 300};
  void observe(double seconds);
  uint64_t count() const { return count_.load(std::memory_order_relaxed); }
  /// "NAME_bucket{le="0.001"} 3" and so on.
  void write(std::string& text, std::string_view name, std::string_view help) const;

 private:
  std::array<std::atomic<uint64_t>, bounds.size()> buckets_{};
  std::atomic<uint64_t> count_{0}, microseconds_{0};
};

struct Metrics {
  Counter prompt_tokens, cached_tokens, new_tokens, pictures;
  Histogram queue_seconds, first_token_seconds, step_seconds, request_seconds;
  /// One request that was answered.
  void answered(std::string_view path, int status);
  /// Everything above; `gauges` are lines that the caller adds.
  std::string text(std::string_view gauges = "") const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, uint64_t> requests_;
};

/// A line "NAME VALUE" with its help and type.
void write_metric(std::string& text, std::string_view name, std::string_view type, std::string_view help, double value);

}  // namespace tessera::serve
