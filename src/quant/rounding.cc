// Rounding in fp32 by whole-tensor steps; nothing here depends on a model.
#include "quant/rounding.h"

#include <ATen/ops/clamp.h>

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

}  // namespace tessera::quant
