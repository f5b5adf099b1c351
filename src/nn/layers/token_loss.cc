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

/// Logits [n, V] in fp32 of some rows.
Tensor capped_logits(const Tensor& part, const Tensor& weight, std::optional<double> cap) {
  Tensor logits = at::mm(part, weight.t()).to(at::kFloat);
  if (cap) logits = (logits / *cap).tanh_().mul_(*cap);
  return logits;
}

class TokenLosses : public torch::autograd::Function<TokenLosses> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& hidden, const Tensor& weight, const Tensor& targets,
                        std::optional<double> cap, int64_t rows) {
    const at::ScalarType type = product_type(hidden);
    const Tensor w = weight.to(type);
    Tensor losses = at::empty({hidden.size(0)}, hidden.options().dtype(at::kFloat));
    for (int64_t begin = 0; begin < hidden.size(0); begin += rows) {
      const int64_t end = std::min(begin + rows, hidden.size(0));
      const Tensor logits = capped_logits(hidden.slice(0, begin, end).to(type), w, cap);
      const Tensor wanted = logits.gather(1, targets.slice(0, begin, end).unsqueeze(1)).squeeze(1);
      losses.slice(0, begin, end).copy_(logits.logsumexp(-1) - wanted);
    }
    context->saved_data["cap"] = cap.value_or(0);
    context->saved_data["rows"] = rows;
    context->saved_data["type"] = static_cast<int64_t>(type);
    context->save_for_backward({hidden, weight, targets});
    return losses;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &hidden = saved[0], &weight = saved[1], &targets = saved[2];
    const double stored = context->saved_data["cap"].toDouble();
    const std::optional<double> cap = stored > 0 ? std::optional(stored) : std::nullopt;
    const int64_t rows = context->saved_data["rows"].toInt();
    const auto type = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
    const Tensor w = weight.to(type);
    Tensor hidden_grad, weight_grad;
    if (context->needs_input_grad(0)) hidden_grad = at::empty_like(hidden);
    if (context->needs_input_grad(1)) weight_grad = at::zeros_like(weight, at::kFloat);
    for (int64_t begin = 0; begin < hidden.size(0); begin += rows) {
      const int64_t end = std::min(begin + rows, hidden.size(0));
      const Tensor part = hidden.slice(0, begin, end).to(type), logits = capped_logits(part, w, cap);
      Tensor grad = logits.softmax(-1);  // less one at the target
      grad.scatter_add_(1, targets.slice(0, begin, end).unsqueeze(1), at::full({end - begin, 1}, -1, grad.options()));
      grad.mul_(grads[0].slice(0, begin, end).unsqueeze(1));
      if (cap) grad.mul_(1 - (logits / *cap).square());
      grad = grad.to(type);
      if (present(hidden_grad)) hidden_grad.slice(0, begin, end).copy_(at::mm(grad, w));
      if (present(weight_grad)) weight_grad += at::mm(grad.t(), part);
    }
    if (present(weight_grad)) weight_grad = weight_grad.to(weight.scalar_type());
    return {hidden_grad, weight_grad, Tensor(), Tensor(), Tensor()};
  }
};
}  // namespace

Tensor token_losses(const Tensor& hidden, const Tensor& weight, const Tensor& targets, std::optional<double> cap,
                    int64_t rows) {
  return TokenLosses::apply(hidden, weight, targets, cap, rows);
}

Tensor token_losses(const Tensor& hidden, const Linear& head, const Tensor& targets, std::optional<double> cap) {
  if (!head.packed && !head.lora) return token_losses(hidden, head.weight, targets, cap);
  Tensor logits = head.forward(hidden).to(at::kFloat);
  if (cap) logits = (logits / *cap).tanh() * *cap;
  return at::cross_entropy_loss(logits, targets, {}, at::Reduction::None);
}

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
