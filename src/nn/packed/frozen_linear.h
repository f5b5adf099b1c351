// Packed weights under a tape: gradients flow through them to the input, and nothing unpacked is kept for the backward pass.
#pragma once

#include "nn/packed/packed_weight.h"

namespace tessera::nn {

/// linear(x, weight), x [..., in] -> [..., out], with dL/dx = dL/dy W in the backward pass, where W is unpacked again: the tape
/// holds the packed weight alone. Rounding of activations (Int8Weight) passes gradients straight through.
Tensor frozen_linear(const Tensor& x, const Int4Weight& weight);
Tensor frozen_linear(const Tensor& x, const Int8Weight& weight);

/// The nearest packed weight by its own range: per group of `group` inputs, least and largest value (and 0) become 0 and 15.
/// weight [out, in] with in a multiple of `group` and of 2.
Int4Weight rounded_to_int4(const Tensor& weight, int64_t group);

}  // namespace tessera::nn
