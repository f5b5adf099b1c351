// Progress on standard error: a bar that redraws itself on a terminal, a plain line every ten seconds elsewhere.
#include "core/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>

namespace tessera {

namespace {
bool progress_enabled = true;
std::atomic<bool> bar_stands = false;  // on the terminal, without a line break after it
constexpr int bar_cells = 24;
constexpr double least_elapsed = 0.2;  // seconds; a rate before that would be chance
}  // namespace

void set_progress_enabled(bool enabled) { progress_enabled = enabled; }

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::max(0.0, seconds));
  if (whole >= 3600) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  if (whole >= 60) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}s", whole);
}

void clear_progress_line() {
  if (bar_stands.exchange(false)) fmt::print(stderr, "\r\033[K");
}

std::string progress_line(const Terminal& terminal, std::string_view label, double share, std::string_view text) {
  if (!terminal.rewrites) return fmt::format("{} {}", label, text);
  const auto room = static_cast<size_t>(terminal.columns - 1);
  const int full = static_cast<int>(share * bar_cells);
  std::string bar;
  for (int i = 0; i < bar_cells; ++i) bar += terminal.unicode ? (i < full ? "━" : "╌") : (i < full ? "#" : "-");
  const std::string plain = fmt::format("{} {}", label, text);
  if (plain.size() + 1 + bar_cells <= room) return fmt::format("{} {} {}", label, bar, text);
  return plain.substr(0, room);
}

Progress::Progress(std::string label, int64_t total, std::string unit, int64_t start)
    : label_(std::move(label)), unit_(std::move(unit)), total_(total), start_(start), done_(start),
      began_(Clock::now()), shown_(began_ - std::chrono::hours(1)), terminal_(terminal_of(STDERR_FILENO)),
      enabled_(progress_enabled) {}

Progress::~Progress() { finish(); }

void Progress::update(int64_t done, std::string_view note) {
  done_ = done;
  const auto pause = terminal_.rewrites ? std::chrono::milliseconds(100) : std::chrono::milliseconds(10000);
  if (!enabled_ || Clock::now() - shown_ < pause) return;
  show(note);
}

void Progress::show(std::string_view note) {
  shown_ = Clock::now();
  const double elapsed = std::chrono::duration<double>(shown_ - began_).count();
  const double rate = elapsed >= least_elapsed ? static_cast<double>(done_ - start_) / elapsed : 0;
  const double share = total_ > 0 ? std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0) : 0;
  std::string text = fmt::format("{:3.0f}% {}/{} {}", share * 100, done_, total_, unit_);
  if (rate > 0) {
    text += fmt::format("  {}/s  ETA {}", rate < 1000 ? fmt::format("{:.3g}", rate) : fmt::format("{:.0f}", rate),
                        format_duration(static_cast<double>(total_ - done_) / rate));
  }
  if (!note.empty()) text += fmt::format("  {}", note);
  const std::string line = progress_line(terminal_, label_, share, text);
  if (!terminal_.rewrites) {
    fmt::print(stderr, "{}\n", line);
    return;
  }
  fmt::print(stderr, "\r{}\033[K", line);
  std::fflush(stderr);
  bar_stands = true;
}

void Progress::finish() {
  if (finished_ || !enabled_) return;
  finished_ = true;
  const double elapsed = std::chrono::duration<double>(Clock::now() - began_).count();
  bar_stands = false;
  if (terminal_.rewrites)
    fmt::print(stderr, "\r{} {} {} in {}\033[K\n", label_, done_, unit_, format_duration(elapsed));
}

}  // namespace tessera
