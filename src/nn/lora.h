// Low-rank adapters (arXiv 2106.09685): what a Linear adds to its frozen weight while it is tuned.
#pragma once

#include <ATen/ops/linear.h>

#include "tensor/module.h"

namespace tessera::nn {

/// y += scale * B A x. Names are those of the PEFT format.
struct Lora {
  Tensor a;          // [rank, in]
  Tensor b;          // [out, rank], starts at zero
  double scale = 1;  // alpha / rank

  /// x [..., in] -> [..., out].
  Tensor forward(const Tensor& x) const { return at::linear(at::linear(x, a), b) * scale; }
};
template <class V> void tensors(V& v, Lora& m) { v("lora_A.weight", m.a), v("lora_B.weight", m.b); }

}  // namespace tessera::nn
