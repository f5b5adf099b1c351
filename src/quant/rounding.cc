// Rounding in fp32 by whole-tensor steps; nothing here depends on a model.
#include "quant/rounding.h"

#include <ATen/ops/clamp.h>
#include <ATen/ops/maximum.h>
#include <torch/csrc/autograd/grad_mode.h>

namespace tessera::quant {

namespace {
struct Grid {
  Tensor scales, zeros;  // [out, groups] fp32; zeros are whole numbers
};

Grid grid_of(const Ranges& ranges) {
  const Tensor scales = ((ranges.high - ranges.low) / 15).clamp_min(6e-8).to(at::kHalf).to(at::kFloat);
  return {scales, (-ranges.low / scales).round().clamp(0, 15)};
}

Tensor grouped(const Tensor& weight, int64_t group) {
  return weight.detach().to(at::kFloat).unflatten(-1, {-1, group});  // [out, groups, group]
}

/// Whole numbers 0 to 15 as fp32, [out, groups, group].
Tensor integers(const Tensor& weight, int64_t group, const Grid& grid) {
  return (grouped(weight, group) / grid.scales.unsqueeze(-1)).round_().add_(grid.zeros.unsqueeze(-1)).clamp_(0, 15);
}
}  // namespace

Ranges full_ranges(const Tensor& weight, int64_t group) {
  const Tensor w = grouped(weight, group);
  return {w.amin(-1).clamp_max(0), w.amax(-1).clamp_min(0)};
}

nn::Int4Weight round_int4(const Tensor& weight, int64_t group, const Ranges& ranges) {
  const Grid grid = grid_of(ranges);
  return {.packed = nn::packed_nibbles(integers(weight, group, grid).flatten(1)),
          .scales = grid.scales.contiguous(),
          .zeros = grid.zeros.to(at::kByte).contiguous(),
          .group = group};
}

Tensor rounded_int4(const Tensor& weight, int64_t group, const Ranges& ranges) {
  const Grid grid = grid_of(ranges);
  return integers(weight, group, grid).sub_(grid.zeros.unsqueeze(-1)).mul_(grid.scales.unsqueeze(-1)).flatten(1);
}

nn::Int8Weight round_int8(const Tensor& weight) {
  const Tensor w = weight.detach().to(at::kFloat);
  const Tensor scales = (w.abs().amax(-1) / 127).clamp_min(1e-12);
  return {.values = (w / scales.unsqueeze(-1)).round().clamp(-127, 127).to(at::kChar).contiguous(), .scales = scales};
}

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
      consumer.layer->int8 = round_int8(consumer.layer->weight);
      consumer.layer->weight = Tensor();
    }
  }
}

}  // namespace tessera::quant
