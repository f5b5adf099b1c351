// How many bytes of tensors are alive, and how many there have been at once: what "this trains in less memory" is measured by.
#pragma once

#include <cstdint>
#include <memory>

namespace tessera {

/// Counts what this thread (and the backward passes that it starts) allocates and frees for tensors on the CPU while it lives; tensors
/// made before do not count, nor does giving them back. One at a time.
class LiveBytes {
 public:
  LiveBytes();
  ~LiveBytes();
  LiveBytes(const LiveBytes&) = delete;
  LiveBytes& operator=(const LiveBytes&) = delete;

  int64_t now() const;
  int64_t peak() const;
  /// Forgets the peak so far: it is what is alive now.
  void reset_peak();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera
