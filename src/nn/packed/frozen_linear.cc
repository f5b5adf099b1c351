// One autograd function per packing; without a tape the plain product is called.
#include "nn/packed/frozen_linear.h"

#include <ATen/ops/matmul.h>
#include <torch/csrc/autograd/custom_function.h>

namespace tessera::nn {

namespace {
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool needs_tape(const Tensor& x) { return at::GradMode::is_enabled() && x.requires_grad(); }

/// dL/dx of y = x W^T, in x's format; under autocast dL/dy may come in a narrower one.
Tensor input_gradient(const Tensor& gradient, const Tensor& weight, at::ScalarType type) {
  return at::matmul(gradient, weight.to(gradient.scalar_type())).to(type);
}

struct Int4Product : torch::autograd::Function<Int4Product> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& packed, const Tensor& scales,
                        const Tensor& zeros, int64_t group) {
    context->save_for_backward({packed, scales, zeros});
    context->saved_data["group"] = group;
    context->saved_data["type"] = static_cast<int64_t>(x.scalar_type());
    return linear(x, Int4Weight{packed, scales, zeros, group});
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Int4Weight weight{saved[0], saved[1], saved[2], context->saved_data["group"].toInt()};
    const auto type = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
    return {input_gradient(gradients[0], unpacked(weight), type), {}, {}, {}, {}};
  }
};

struct Int8Product : torch::autograd::Function<Int8Product> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& values, const Tensor& scales) {
    context->save_for_backward({values, scales});
    context->saved_data["type"] = static_cast<int64_t>(x.scalar_type());
    return linear(x, Int8Weight{values, scales});
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const auto type = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
    return {input_gradient(gradients[0], unpacked(Int8Weight{saved[0], saved[1]}), type), {}, {}};
  }
};
}  // namespace

Tensor frozen_linear(const Tensor& x, const Int4Weight& weight) {
  if (!needs_tape(x)) return linear(x, weight);
  return Int4Product::apply(x, weight.packed, weight.scales, weight.zeros, weight.group);
}

Tensor frozen_linear(const Tensor& x, const Int8Weight& weight) {
  if (!needs_tape(x)) return linear(x, weight);
  return Int8Product::apply(x, weight.values, weight.scales);
}

Int4Weight rounded_to_int4(const Tensor& weight, int64_t group) {
  const at::NoGradGuard no_grad;
  const Tensor grouped = weight.to(at::kFloat).unflatten(1, {-1, group});  // [out, groups, group]
  const Tensor low = grouped.amin(-1).clamp_max(0), high = grouped.amax(-1).clamp_min(0);
  const Tensor scales = ((high - low) / 15).clamp_min(1e-12);  // a group of zeros has no range
  const Tensor zeros = (-low / scales).round();
  const Tensor q = ((grouped / scales.unsqueeze(-1)).round() + zeros.unsqueeze(-1)).clamp(0, 15);
  return {packed_nibbles(q.flatten(1)), scales.contiguous(), zeros.to(at::kByte).contiguous(), group};
}

}  // namespace tessera::nn
