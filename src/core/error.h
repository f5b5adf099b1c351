// Faults that a person can meet. Every message reads `[module] what; got X, want Y` on one line.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace tessera {

/// Base of everything Tessera throws on purpose. `exit_status()` is what the process ends with.
class Error : public std::runtime_error {
 public:
  Error(const std::string& message, int exit_status) : std::runtime_error(message), exit_status_(exit_status) {}
  int exit_status() const { return exit_status_; }

 private:
  int exit_status_;
};

/// The caller's mistake: a flag, a path, a recipe, a file of the wrong kind. Exit status 2.
class UserError : public Error {
 public:
  template <class... Args>
  explicit UserError(fmt::format_string<Args...> format, Args&&... args)
      : Error(fmt::format(format, std::forward<Args>(args)...), 2) {}
};

/// The world's fault: disk, network, numbers. Exit status 1.
class FaultError : public Error {
 public:
  template <class... Args>
  explicit FaultError(fmt::format_string<Args...> format, Args&&... args)
      : Error(fmt::format(format, std::forward<Args>(args)...), 1) {}
};

}  // namespace tessera
