// Scales first, for every input; then all weights are rounded.
#include "quant/smooth_quant.h"

#include <ATen/ops/maximum.h>
#include <torch/csrc/autograd/grad_mode.h>

namespace tessera::quant {

Tensor smoothing_scale(const Tensor& largest_input, const Tensor& largest_weight, double exponent) {
  const Tensor scale = largest_input.clamp_min(1e-5).pow(exponent) / largest_weight.clamp_min(1e-5).pow(1 - exponent);
  return scale.clamp_min(1e-5);
}

void smooth_quant(const std::vector<SharedInput>& inputs, const std::vector<InputStatistics>& statistics,
                  double exponent) {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].scalable() || inputs[i].channels.defined() || statistics[i].rows() == 0) continue;
    Tensor columns;
    for (const auto& consumer : inputs[i].consumers) {
      const Tensor largest = consumer.layer->weight.to(at::kFloat).abs().amax(0);
      columns = columns.defined() ? at::maximum(columns, largest) : largest;
    }
    fold(inputs[i], smoothing_scale(statistics[i].largest_magnitude(), columns, exponent));
  }
  for (const SharedInput& input : inputs) {
    for (const auto& consumer : input.consumers) {
      nn::Linear& layer = *consumer.layer;
      layer.pack(std::make_shared<nn::Int8Weight>(nn::round_int8(layer.weight)));
    }
  }
}

}  // namespace tessera::quant
