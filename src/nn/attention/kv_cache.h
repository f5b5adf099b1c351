// Keys and values of positions already seen, behind one interface: a layer hands in what is new and gets its attention back. Layers
// with a state of fixed size in their place are served likewise.
// A model's running state: made by whoever runs it, passed in, never stored in it.
#pragma once

#include <cstdint>
#include <optional>

#include "nn/attention/recurrent_state.h"
#include "tensor/tensor.h"

namespace tessera::nn {

/// How a layer attends.
struct AttendOptions {
  double scale = 1;                    // of the scores
  std::optional<double> cap = {};      // scores become cap * tanh(scores / cap)
  std::optional<int64_t> window = {};  // a position sees itself and window - 1 before it; absent: all before it
};

class KvCache {
 public:
  virtual ~KvCache() = default;
  /// Adds the keys and values of the pass under way, k and v [B, G, T, head_dim], and attends: q [B, H, T, head_dim], H a
  /// multiple of G -> [B, T, H * head_dim] in q's format. Which positions a query sees is the cache's matter. No gradients go
  /// through it.
  virtual Tensor attend(size_t layer, const Tensor& q, const Tensor& k, const Tensor& v,
                        const AttendOptions& options) = 0;
  /// The same for a layer with a recurrent state: its inputs [T, channels] of the pass under way go through `step`, row by row -> [T, ...].
  /// Caches whose positions are no sequences have none.
  virtual Tensor recur(size_t /*layer*/, const Tensor& /*inputs*/, const RecurrentStep& /*step*/) {
    TORCH_INTERNAL_ASSERT(false, "a cache without recurrent states");
  }
  /// Bytes of all it has allocated.
  virtual int64_t bytes() const = 0;
};

}  // namespace tessera::nn
