// Eight-bit weights after SmoothQuant (arXiv 2211.10438): loud channels of the activations move into the weights first.
#pragma once

#include <vector>

#include "nn/packed/int8_weight.h"
#include "quant/shared_input.h"

namespace tessera::quant {

/// largest |x| ^ exponent / largest |w| ^ (1 - exponent) per channel (equation 4). magnitudes and columns [in].
Tensor smoothing_scale(const Tensor& largest_input, const Tensor& largest_weight, double exponent);

/// Folds the scales where something before an input can take them, and replaces every consumer's weight by an
/// Int8Weight. NVILA's exponent is 0.3. `statistics` in the order of `inputs`; an input that was never seen is not
/// smoothed.
void smooth_quant(const std::vector<SharedInput>& inputs, const std::vector<InputStatistics>& statistics,
                  double exponent = 0.3);

}  // namespace tessera::quant
