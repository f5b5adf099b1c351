// AdamW by LibTorch's fused kernel; one call per group of like parameters.
#include "train/optimizer.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "core/error.h"

namespace tessera::train {

void validate(const OptimizerConfig& c) {
  const auto share = [](double x) { return x >= 0 && x < 1; };
  if (!share(c.beta1) || !share(c.beta2))
    throw UserError("[train] beta1, beta2 are {}, {}; want numbers from 0 to below 1", c.beta1, c.beta2);
  if (!share(c.ema)) throw UserError("[train] ema is {}, want a number from 0 to below 1", c.ema);
  if (!(c.epsilon > 0) || c.weight_decay < 0 || c.clip < 0)
    throw UserError("[train] epsilon must be above 0, weight_decay and clip 0 or more");
}

namespace {
Tensor trained_rows(const Parameter& p, const Tensor& t) {
  return p.first_row > 0 ? t.narrow(0, p.first_row, t.size(0) - p.first_row) : t;
}
}  // namespace

AdamW::AdamW(std::vector<Parameter> parameters, OptimizerConfig config)
    : parameters_(std::move(parameters)), config_(config) {
  validate(config_);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = parameters_[i];
    p.tensor.requires_grad_(true);
    const Tensor trained = trained_rows(p, p.tensor.detach());
    mean_.push_back(at::zeros_like(trained));
    square_.push_back(at::zeros_like(trained));
    if (has_average()) average_.push_back(trained.clone());
    const auto same = [&](const Group& g) { return g.decay == p.decay && g.lr_scale == p.lr_scale; };
    auto group = std::find_if(groups_.begin(), groups_.end(), same);
    if (group == groups_.end()) group = groups_.insert(groups_.end(), Group{p.decay, p.lr_scale, {}});
    group->members.push_back(i);
  }
  count_ = at::zeros({1}, at::kFloat);
}

double AdamW::step(double learning_rate) {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> gradients;
  for (Parameter& p : parameters_) {
    if (!p.tensor.grad().defined()) p.tensor.mutable_grad() = at::zeros_like(p.tensor);
    gradients.push_back(trained_rows(p, p.tensor.grad()));
  }
  const double norm = at::stack(at::_foreach_norm(gradients, 2)).norm().item<double>();
  if (!std::isfinite(norm)) return norm;
  if (config_.clip > 0 && norm > config_.clip) at::_foreach_mul_(gradients, config_.clip / (norm + 1e-6));

  count_ += 1;
  for (const Group& group : groups_) {
    std::vector<Tensor> weights, grads, means, squares, counts;
    for (const size_t i : group.members) {
      weights.push_back(trained_rows(parameters_[i], parameters_[i].tensor));
      grads.push_back(gradients[i]);
      means.push_back(mean_[i]);
      squares.push_back(square_[i]);
      counts.push_back(count_.to(weights.back().device()));
    }
    at::_fused_adamw_(weights, grads, means, squares, /*max_exp_avg_sqs=*/{}, counts, learning_rate * group.lr_scale,
                      config_.beta1, config_.beta2, group.decay ? config_.weight_decay : 0.0, config_.epsilon,
                      /*amsgrad=*/false, /*maximize=*/false);
  }
  for (Parameter& p : parameters_) p.tensor.mutable_grad() = Tensor();
  if (has_average()) {
    // early on the average follows closely, so that it never remembers the initial weights
    const double steps = count_.item<double>();
    const double decay = std::min(config_.ema, (1 + steps) / (10 + steps));
    std::vector<Tensor> weights;
    for (const Parameter& p : parameters_) weights.push_back(trained_rows(p, p.tensor));
    at::_foreach_lerp_(average_, weights, 1 - decay);
  }
  return norm;
}

std::vector<NamedTensor> AdamW::state() const {
  std::vector<NamedTensor> all{{"step", count_}};
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const std::string& name = parameters_[i].name;
    all.push_back({"mean." + name, mean_[i]});
    all.push_back({"square." + name, square_[i]});
    if (has_average()) all.push_back({"ema." + name, average_[i]});
  }
  return all;
}

void AdamW::swap_average() {
  if (!has_average()) return;
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor trained = trained_rows(parameters_[i], parameters_[i].tensor);
    const Tensor weight = trained.clone();
    trained.copy_(average_[i]);
    average_[i].copy_(weight);
  }
}

void validate(const ScheduleConfig& c) {
  const std::vector<std::string> kinds{"cosine", "wsd", "constant"};
  if (std::find(kinds.begin(), kinds.end(), c.kind) == kinds.end()) {
    throw UserError("[train] unknown schedule '{}'; did you mean '{}'?", c.kind, nearest_word(c.kind, kinds));
  }
  if (!(c.learning_rate > 0)) throw UserError("[train] learning_rate is {}, want a number above 0", c.learning_rate);
  if (c.warmup_steps < 0) throw UserError("[train] warmup_steps is {}, want 0 or more", c.warmup_steps);
  if (c.floor < 0 || c.floor > 1) throw UserError("[train] floor is {}, want a share from 0 to 1", c.floor);
  if (c.decay_share < 0 || c.decay_share > 1)
    throw UserError("[train] decay_share is {}, want a share from 0 to 1", c.decay_share);
}

double learning_rate_at(const ScheduleConfig& c, int64_t step, int64_t total_steps) {
  if (step < c.warmup_steps)
    return c.learning_rate * static_cast<double>(step + 1) / static_cast<double>(c.warmup_steps);
  if (c.kind == "constant") return c.learning_rate;
  const double length = std::max<double>(1, static_cast<double>(total_steps - c.warmup_steps));
  const double done = std::min(1.0, static_cast<double>(step + 1 - c.warmup_steps) / length);
  double share = 0.5 * (1 + std::cos(std::numbers::pi * done));
  if (c.kind == "wsd") share = c.decay_share > 0 ? std::min(1.0, (1 - done) / c.decay_share) : 1.0;
  return c.learning_rate * (c.floor + (1 - c.floor) * share);
}

}  // namespace tessera::train
