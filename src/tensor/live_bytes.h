// How many bytes of tensors are alive, and how many there have been at once: what "this trains in less memory" is measured by; and how many a
// module takes.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "tensor/module.h"

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

/// Bytes that a module's tensors take in memory, packed ones as they are packed; what several share counts once.
template <HasTensors M> int64_t bytes_of(M& module) {
  std::set<const void*> seen;
  int64_t total = 0;
  for_each_tensor(module, [&](const std::string&, Tensor& t) {
    if (seen.insert(t.const_data_ptr()).second) total += static_cast<int64_t>(t.nbytes());
  });
  return total;
}

}  // namespace tessera
