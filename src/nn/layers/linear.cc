// A linear layer whose weight is packed, narrower than its input or multiplies in 8 bits, or that has an adapter beside it.
#include "nn/layers/linear.h"

#include "nn/layers/fp8.h"

namespace tessera::nn {

Tensor Linear::forward_with_parts(const Tensor& x, const Tensor& other_bias) const {
  if (observer != nullptr) observer->see(x);
  Tensor y = packed       ? linear(x, packed)
             : fp8        ? fp8_linear(x, weight)
             : widened(x) ? linear_16bit(x, weight, bf16_products)
                          : product(x, weight);
  if (other_bias.defined()) y = y + other_bias;
  return lora ? y + lora->forward(x) : y;
}

}  // namespace tessera::nn
