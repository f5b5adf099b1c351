// The plain meaning: unpack, then multiply.
#include "nn/packed_weight.h"

#include <ATen/ops/linear.h>
#include <ATen/ops/stack.h>

namespace tessera::nn {

Tensor unpacked(const Int4Weight& weight) {
  const Tensor low = weight.packed.bitwise_and(15), high = weight.packed.bitwise_right_shift(4);
  const Tensor q = at::stack({low, high}, -1).flatten(-2).to(at::kFloat);         // [out, in]
  const Tensor grouped = q.unflatten(-1, {weight.scales.size(1), weight.group});  // [out, groups, group]
  return ((grouped - weight.zeros.unsqueeze(-1)) * weight.scales.unsqueeze(-1)).flatten(1);
}

Tensor unpacked(const Int8Weight& weight) { return weight.values.to(at::kFloat) * weight.scales.unsqueeze(1); }

Tensor linear(const Tensor& x, const Int4Weight& weight) { return at::linear(x, unpacked(weight).to(x.scalar_type())); }
Tensor linear(const Tensor& x, const Int8Weight& weight) { return at::linear(x, unpacked(weight).to(x.scalar_type())); }

}  // namespace tessera::nn
