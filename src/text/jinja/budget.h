// What a template may spend while it is rendered, so that a hostile one ends soon. Every operation pays before it works.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace tessera::text::jinja {

/// What goes wrong in a template, in words; the caller adds the template and the line.
class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What a template says by raise_exception.
class Refusal : public Fault {
 public:
  using Fault::Fault;
};

struct Limits {
  int64_t steps = 10'000'000;         // expressions, statements, items, and 64 bytes of text that is looked through
  int64_t bytes = int64_t{64} << 20;  // of all values that are made, also of those that are gone again
  int64_t nested = 100;               // calls of macros inside of each other
};

class Budget {
 public:
  explicit Budget(const Limits& limits) : limits_(limits) {}
  void step(size_t count = 1) {
    steps_ += static_cast<int64_t>(count);
    if (steps_ > limits_.steps) throw Fault("takes more than " + std::to_string(limits_.steps) + " steps");
  }
  /// A text of `bytes` is looked through.
  void look(size_t bytes) { step(1 + bytes / 64); }
  /// Values of `bytes` are made.
  void make(size_t bytes) {
    if (bytes > static_cast<size_t>(limits_.bytes) - static_cast<size_t>(bytes_))
      throw Fault("takes more than " + std::to_string(limits_.bytes >> 20) + " MiB of memory");
    bytes_ += static_cast<int64_t>(bytes);
    step(1 + bytes / 64);
  }
  const Limits& limits() const { return limits_; }

 private:
  Limits limits_;
  int64_t steps_ = 0, bytes_ = 0;
};

}  // namespace tessera::text::jinja
