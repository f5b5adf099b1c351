// The affine map every layer is made of. Weights are [out, in], as in checkpoints.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/linear.h>

#include "tensor/build.h"
#include "tensor/module.h"

namespace tessera::nn {

struct Linear {
  Tensor weight;  // [out, in]
  Tensor bias;    // [out], absent when the layer has none

  Linear() = default;
  /// The weight is undefined, the bias zero.
  Linear(int64_t in, int64_t out, bool with_bias = true)
      : weight(empty_weight({out, in})), bias(with_bias ? constant_weight({out}, 0) : Tensor()) {}

  /// x [..., in] -> [..., out].
  Tensor forward(const Tensor& x) const { return at::linear(x, weight, bias); }
};
template <class V> void tensors(V& v, Linear& m) { v("weight", m.weight), v("bias", m.bias); }

}  // namespace tessera::nn
