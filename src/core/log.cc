// One line at a time to standard error, in place of a bar that stands there.
#include "core/log.h"

#include <cstdio>

#include "core/progress.h"

namespace tessera {

namespace {
LogLevel current_level = LogLevel::info;
}

void set_log_level(LogLevel level) { current_level = level; }

void log_line(LogLevel level, std::string_view message) {
  if (level > current_level) return;
  clear_progress_line();
  fmt::print(stderr, "{}{}\n", level == LogLevel::warning ? "warning: " : "", message);
}

}  // namespace tessera
