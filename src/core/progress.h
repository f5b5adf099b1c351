// Progress with rate and ETA: a bar on a terminal, a plain line now and then elsewhere. Standard error only.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

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
  bool terminal_, enabled_, finished_ = false;
};

/// Switches progress off (tests, --quiet).
void set_progress_enabled(bool enabled);

/// "1h02m", "3m05s", "12s".
std::string format_duration(double seconds);

}  // namespace tessera
