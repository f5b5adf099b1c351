// A linear layer whose weight is packed or multiplies in 8 bits, or that has an adapter beside it.
#include "nn/layers/linear.h"

#include "nn/layers/fp8.h"
#include "nn/packed/frozen_linear.h"

namespace tessera::nn {

Tensor Linear::forward_with_parts(const Tensor& x) const {
  if (observer != nullptr) observer->see(x);
  Tensor y = int4   ? frozen_linear(x, *int4)
             : int8 ? frozen_linear(x, *int8)
             : fp8  ? fp8_linear(x, weight)
                    : product(x, weight);
  if (bias.defined()) y = y + bias;
  return lora ? y + lora->forward(x) : y;
}

}  // namespace tessera::nn
