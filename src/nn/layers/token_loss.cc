// Forward and backward in one pass over groups of rows.
#include "nn/layers/token_loss.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

namespace tessera::nn {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::ScalarType product_type(const Tensor& hidden) {
  const at::DeviceType device = hidden.device().type();
  return at::autocast::is_autocast_enabled(device) ? at::autocast::get_autocast_dtype(device) : hidden.scalar_type();
}

struct Wanted {
  bool hidden, weight;
};

/// Of all logits at once, before the cap.
Tensor loss_of(Tensor logits, const Tensor& targets, std::optional<double> cap) {
  logits = logits.to(at::kFloat);
  if (cap) logits = (logits / *cap).tanh() * *cap;
  return at::cross_entropy_loss(logits, targets, {}, at::Reduction::Sum);
}

class TokenLoss : public torch::autograd::Function<TokenLoss> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& hidden, const Tensor& weight, const Tensor& targets,
                        std::optional<double> cap, int64_t rows, bool for_hidden, bool for_weight) {
    const at::ScalarType type = product_type(hidden);
    const Tensor h = hidden.to(type), w = weight.to(type);
    Tensor total = at::zeros({}, hidden.options().dtype(at::kFloat)), hidden_grad, weight_grad;
    if (for_hidden) hidden_grad = at::empty_like(h);
    if (for_weight) weight_grad = at::zeros_like(weight, at::kFloat);
    for (int64_t begin = 0; begin < h.size(0); begin += rows) {
      const int64_t end = std::min(begin + rows, h.size(0));
      const Tensor part = h.slice(0, begin, end), target = targets.slice(0, begin, end).unsqueeze(1);
      Tensor logits = at::mm(part, w.t()).to(at::kFloat);  // [n, V]
      if (cap) logits = (logits / *cap).tanh_().mul_(*cap);
      const Tensor norm = logits.logsumexp(-1, /*keepdim=*/true);
      total += (norm - logits.gather(1, target)).sum();
      if (!for_hidden && !for_weight) continue;
      Tensor slope = cap ? 1 - (logits / *cap).square_() : Tensor();
      Tensor grad = logits.sub_(norm).exp_();  // probabilities, less one at the target
      grad.scatter_add_(1, target, at::full_like(target, -1, at::kFloat));
      if (cap) grad.mul_(slope);
      grad = grad.to(type);
      if (for_hidden) hidden_grad.slice(0, begin, end).copy_(at::mm(grad, w));
      if (for_weight) weight_grad += at::mm(grad.t(), part);
    }
    context->saved_data["hidden_type"] = static_cast<int64_t>(hidden.scalar_type());
    context->saved_data["weight_type"] = static_cast<int64_t>(weight.scalar_type());
    context->save_for_backward({hidden_grad, weight_grad});
    return total;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const auto scaled = [&](const Tensor& grad, const char* type) {
      if (!present(grad)) return Tensor();
      return grad.mul(grads[0]).to(static_cast<at::ScalarType>(context->saved_data[type].toInt()));
    };
    return {scaled(saved[0], "hidden_type"),
            scaled(saved[1], "weight_type"),
            Tensor(),
            Tensor(),
            Tensor(),
            Tensor(),
            Tensor()};
  }
};

}  // namespace

Tensor token_loss(const Tensor& hidden, const Tensor& weight, const Tensor& targets, std::optional<double> cap,
                  int64_t rows) {
  const bool taped = at::GradMode::is_enabled();
  return TokenLoss::apply(hidden, weight, targets, cap, rows, taped && hidden.requires_grad(),
                          taped && weight.requires_grad());
}

Tensor token_loss(const Tensor& hidden, const Linear& head, const Tensor& targets, std::optional<double> cap) {
  if (head.packed || head.lora) return loss_of(head.forward(hidden), targets, cap);
  return token_loss(hidden, head.weight, targets, cap);
}

Tensor token_loss_composed(const Tensor& hidden, const Tensor& weight, const Tensor& targets,
                           std::optional<double> cap) {
  return loss_of(at::linear(hidden, weight), targets, cap);
}

}  // namespace tessera::nn
