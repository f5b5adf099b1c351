// Progress with rate and ETA: a bar on a terminal, a plain line now and then elsewhere and where TERM is "dumb". Standard error only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/terminal.h"

namespace tessera {

/// Shows how far `label` has come. Not thread-safe; one at a time.
class Progress {
 public:
  /// `unit` names what is counted ("steps", "pictures"). `start`: where a resumed run begins.
  Progress(std::string label, int64_t total, std::string unit, int64_t start = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Sets how many are done; `note` is the end of the line ("loss 0.31").
  void update(int64_t done, std::string_view note = "");
  /// Ends the line. Called by the destructor if need be.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void show(std::string_view note);

  std::string label_, unit_;
  int64_t total_, start_, done_;
  Clock::time_point began_, shown_;
  Terminal terminal_;
  bool enabled_, finished_ = false;
};

/// Takes a bar that stands on the terminal away, so that a line can be written in its place; the next update draws it again.
void clear_progress_line();

/// One line of a bar or, where a line cannot be written over, of a log. On a terminal it is shorter than the terminal is wide, since
/// a line that has been broken cannot be taken back. `share`: from 0 to 1.
std::string progress_line(const Terminal& terminal, std::string_view label, double share, std::string_view text);

/// Switches progress off (tests, --quiet).
void set_progress_enabled(bool enabled);

/// "1h02m", "3m05s", "12s".
std::string format_duration(double seconds);

}  // namespace tessera
