// Words for people, on standard error; standard output is kept for results.
#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace tessera {

enum class LogLevel { quiet, warning, info };

void set_log_level(LogLevel level);
void log_line(LogLevel level, std::string_view message);

template <class... Args> void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::info, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args> void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::warning, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace tessera
