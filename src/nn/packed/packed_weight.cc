// One autograd function for every format; without a tape the plain product is called.
#include "nn/packed/packed_weight.h"

#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/matmul.h>
#include <torch/csrc/autograd/custom_function.h>

namespace tessera::nn {

namespace {
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What the backward pass needs.
struct KeptWeight final : torch::CustomClassHolder {
  KeptWeight(std::shared_ptr<const PackedWeight> weight, at::ScalarType type) : weight(std::move(weight)), type(type) {}
  std::shared_ptr<const PackedWeight> weight;
  at::ScalarType type;  // of x
};

struct PackedProduct : torch::autograd::Function<PackedProduct> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const c10::intrusive_ptr<KeptWeight>& kept) {
    context->saved_data["kept"] = c10::IValue::make_capsule(kept);
    return kept->weight->product(x);  // a custom function's forward runs without a tape
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto capsule = context->saved_data["kept"].toCapsule();
    const auto& kept = static_cast<const KeptWeight&>(*capsule);
    // under autocast dL/dy may come in a narrower format than x had
    const Tensor weight = kept.weight->unpack().to(gradients[0].scalar_type());
    return {at::matmul(gradients[0], weight).to(kept.type), Tensor()};
  }
};
}  // namespace

int64_t PackedWeight::bytes() const {
  int64_t total = 0;
  for (const NamedTensor& part : parts()) total += static_cast<int64_t>(part.tensor.nbytes());
  return total;
}

Tensor linear(const Tensor& x, const std::shared_ptr<const PackedWeight>& weight) {
  if (!at::GradMode::is_enabled() || !x.requires_grad()) return weight->product(x);
  return PackedProduct::apply(x, c10::make_intrusive<KeptWeight>(weight, x.scalar_type()));
}

}  // namespace tessera::nn
