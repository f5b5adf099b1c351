// The two searches. Scales are found for every input first, since one layer's columns may be another's producers; then
// every weight is narrowed and packed as it finally is.
#include "quant/awq.h"

#include <limits>

#include <ATen/ops/bmm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <torch/csrc/autograd/grad_mode.h>

namespace tessera::quant {

using nn::full_ranges;
using nn::Ranges;
using nn::rounded_int4;

namespace {

/// |got - want|^2 / |want|^2.
double relative_error(const Tensor& got, const Tensor& want) {
  return (got - want).square().sum().item<double>() / std::max(1e-30, want.square().sum().item<double>());
}

/// Channels that come from one output of the producer share the mean of their magnitudes.
Tensor shared_magnitude(const SharedInput& input, const Tensor& mean) {
  if (!input.channels.defined()) return mean;
  const Tensor zero = at::zeros({input.producer->weight.size(0)}, mean.options());
  const Tensor sum = zero.index_add(0, input.channels, mean);
  const Tensor count = zero.index_add(0, input.channels, at::ones_like(mean));
  return (sum / count.clamp_min(1)).index_select(0, input.channels);
}

struct Found {
  double exponent = 0, nearest_error = 0;
  Tensor scale;  // [in]
};

/// The exponent whose scales give the least error, among every second one and then the neighbours of the best; x [n, in].
Found best_scale(const SharedInput& input, const Tensor& mean, const Tensor& x, const AwqOptions& options) {
  Found best{.exponent = 0, .nearest_error = 0, .scale = at::ones_like(mean)};
  const Tensor magnitude = shared_magnitude(input, mean);
  std::vector<Tensor> wanted;
  std::vector<const nn::Linear*> layers;
  for (const auto& consumer : input.consumers) {
    if (!consumer.pack) continue;
    layers.push_back(consumer.layer);
    wanted.push_back(at::linear(x, consumer.layer->weight.to(at::kFloat)));
  }
  double least = std::numeric_limits<double>::infinity();
  int64_t found = 0;
  const auto try_step = [&](int64_t step) {
    const double exponent = static_cast<double>(step) / static_cast<double>(options.steps);
    const Tensor scale = awq_scale(magnitude, exponent);
    double error = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      const Tensor scaled = layers[i]->weight.to(at::kFloat) * scale;
      const Tensor rounded = rounded_int4(scaled, options.group, full_ranges(scaled, options.group)) / scale;
      error += relative_error(at::linear(x, rounded), wanted[i]);
    }
    if (step == 0) best.nearest_error = error;
    if (error < least) {
      least = error;
      found = step;
      best.exponent = exponent;
      best.scale = scale;
    }
  };
  const int64_t steps = options.scale && input.scalable() ? options.steps : 1;
  for (int64_t step = 0; step < steps; step += 2) try_step(step);
  for (const int64_t step : {found - 1, found + 1}) {
    if (step > 0 && step < steps) try_step(step);
  }
  return best;
}

/// Narrows, packs and drops the weight; gives the relative error of the layer's output on x [n, in], if x is there.
double pack(const SharedInput::Consumer& consumer, const Tensor& x, const AwqOptions& options) {
  nn::Linear& layer = *consumer.layer;
  const Tensor weight = layer.weight.detach().to(at::kFloat);
  const bool narrow = options.clip && consumer.clip && x.defined();
  const Ranges ranges =
      narrow ? narrowed_ranges(weight, x, options.group, options.clip_steps) : full_ranges(weight, options.group);
  layer.pack(std::make_shared<nn::Int4Weight>(nn::round_int4(weight, options.group, ranges)));
  return x.defined() ? relative_error(at::linear(x, layer.packed->unpack()), at::linear(x, weight)) : 0;
}

}  // namespace

Tensor awq_scale(const Tensor& mean_magnitude, double exponent) {
  const Tensor scale = mean_magnitude.pow(exponent).clamp_min(1e-4);
  return scale / (scale.max() * scale.min()).sqrt();
}

Ranges narrowed_ranges(const Tensor& weight, const Tensor& x, int64_t group, int64_t steps) {
  const Ranges full = full_ranges(weight, group);
  const Tensor by_group = x.unflatten(-1, {-1, group}).transpose(0, 1);  // [groups, n, group]
  const Tensor products = at::bmm(by_group.transpose(1, 2), by_group);   // [groups, group, group]
  const Tensor w = weight.unflatten(-1, {-1, group});                    // [out, groups, group]
  Ranges best = full;
  Tensor least;
  for (int64_t step = 0; step < steps; ++step) {
    const double share = 1 - 0.5 * static_cast<double>(step) / static_cast<double>(steps);
    const Ranges ranges{full.low * share, full.high * share};
    const Tensor off = (rounded_int4(weight, group, ranges).unflatten(-1, {-1, group}) - w).transpose(0, 1);
    const Tensor error = (at::bmm(off, products) * off).sum(-1).t();  // [out, groups]
    if (!least.defined()) {
      least = error;
      continue;
    }
    const Tensor better = error < least;
    least = at::where(better, error, least);
    best.low = at::where(better, ranges.low, best.low);
    best.high = at::where(better, ranges.high, best.high);
  }
  return best;
}

std::vector<AwqResult> awq(const std::vector<SharedInput>& inputs, const std::vector<InputStatistics>& statistics,
                           const AwqOptions& options) {
  const at::NoGradGuard no_grad;
  std::vector<AwqResult> results;
  std::vector<Tensor> samples;  // of the inputs as they are after folding
  for (size_t i = 0; i < inputs.size(); ++i) {
    AwqResult& result = results.emplace_back();
    result.name = inputs[i].name;
    Tensor& x = samples.emplace_back();
    if (statistics[i].rows() > 0) {
      x = statistics[i].sample();
      const Found found = best_scale(inputs[i], statistics[i].mean_magnitude(), x, options);
      result.exponent = found.exponent;
      result.nearest_error = found.nearest_error;
      if (found.exponent > 0) {
        fold(inputs[i], found.scale);
        x = x / found.scale;
      }
    }
    if (options.on_input) options.on_input(static_cast<int64_t>(i) + 1);
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    for (const auto& consumer : inputs[i].consumers) {
      if (consumer.pack) results[i].error += pack(consumer, samples[i], options);
    }
    samples[i] = Tensor();
  }
  return results;
}

}  // namespace tessera::quant
