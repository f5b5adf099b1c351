// The two-layer perceptron of a transformer block, with the tanh form of GELU.
#pragma once

#include <ATen/ops/gelu.h>

#include "nn/linear.h"

namespace tessera::nn {

struct FeedForward {
  Linear fc1, fc2;

  FeedForward() = default;
  FeedForward(int64_t width, int64_t hidden) : fc1(width, hidden), fc2(hidden, width) {}

  /// x [..., width] -> [..., width].
  Tensor forward(const Tensor& x) const { return fc2.forward(at::gelu(fc1.forward(x), "tanh")); }
};
template <class V> void tensors(V& v, FeedForward& m) { v("fc1", m.fc1), v("fc2", m.fc2); }

}  // namespace tessera::nn
