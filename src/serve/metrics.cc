// The text format of Prometheus, version 0.0.4.
#include "serve/metrics.h"

#include <fmt/format.h>

namespace tessera::serve {

namespace {
void write_head(std::string& text, std::string_view name, std::string_view type, std::string_view help) {
  text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}
}  // namespace

void Histogram::observe(double seconds) {
  for (size_t b = 0; b < bounds.size(); ++b) {
    if (seconds <= bounds[b]) {
      buckets_[b].fetch_add(1, std::memory_order_relaxed);
      break;
    }
  }
  count_.fetch_add(1, std::memory_order_relaxed);
  microseconds_.fetch_add(seconds > 0 ? static_cast<uint64_t>(seconds * 1e6) : 0, std::memory_order_relaxed);
}

void Histogram::write(std::string& text, std::string_view name, std::string_view help) const {
  write_head(text, name, "histogram", help);
  uint64_t below = 0;
  for (size_t b = 0; b < bounds.size(); ++b) {
    below += buckets_[b].load(std::memory_order_relaxed);
    text += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, bounds[b], below);
  }
  const uint64_t all = count();
  text += fmt::format("{}_bucket{{le=\"+Inf\"}} {}\n{}_sum {}\n{}_count {}\n", name, all, name,
                      static_cast<double>(microseconds_.load(std::memory_order_relaxed)) / 1e6, name, all);
}

void write_metric(std::string& text, std::string_view name, std::string_view type, std::string_view help,
                  double value) {
  write_head(text, name, type, help);
  text += fmt::format("{} {}\n", name, value);
}

void Metrics::answered(std::string_view path, int status) {
  const std::lock_guard lock(mutex_);
  ++requests_[{std::string(path), status}];
}

std::string Metrics::text(std::string_view gauges) const {
  std::string all;
  const auto counter = [&](std::string_view name, const Counter& c, std::string_view help) {
    write_metric(all, name, "counter", help, static_cast<double>(c.value()));
  };
  counter("tessera_prompt_tokens_total", prompt_tokens, "Tokens of prompts.");
  counter("tessera_cached_prompt_tokens_total", cached_tokens, "Tokens of prompts that were known and not read again.");
  counter("tessera_generated_tokens_total", new_tokens, "Tokens drawn.");
  counter("tessera_pictures_total", pictures, "Pictures drawn.");
  queue_seconds.write(all, "tessera_queue_seconds", "From the arrival of a request to its turn.");
  first_token_seconds.write(all, "tessera_first_token_seconds", "From the arrival of a request to its first token.");
  step_seconds.write(all, "tessera_step_seconds", "One token for every running sequence.");
  request_seconds.write(all, "tessera_request_seconds", "From the arrival of a request to its end.");
  write_head(all, "tessera_requests_total", "counter", "Requests answered, by path and status.");
  const std::lock_guard lock(mutex_);
  for (const auto& [key, count] : requests_)
    all += fmt::format("tessera_requests_total{{path=\"{}\",status=\"{}\"}} {}\n", key.first, key.second, count);
  return all + std::string(gauges);
}

}  // namespace tessera::serve
