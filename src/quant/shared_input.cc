// Folding scales and gathering what calibration saw.
#include "quant/shared_input.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/grad_mode.h>

namespace tessera::quant {

void fold(const SharedInput& input, const Tensor& scale) {
  const at::NoGradGuard no_grad;
  for (const auto& consumer : input.consumers) consumer.layer->weight.mul_(scale);
  if (input.norm) {
    const auto& norm = *input.norm;
    norm.weight.copy_((norm.weight + norm.offset) / scale - norm.offset);
    if (norm.bias.defined()) norm.bias.div_(scale);
    return;
  }
  Tensor rows = scale;
  if (input.channels.defined()) {
    rows = at::ones({input.producer->weight.size(0)}, scale.options()).index_copy(0, input.channels, scale);
  }
  input.producer->weight.div_(rows.unsqueeze(-1));
  if (input.producer->bias.defined()) input.producer->bias.div_(rows);
}

void InputStatistics::see(const Tensor& x) {
  const at::NoGradGuard no_grad;
  const Tensor rows = x.detach().reshape({-1, x.size(-1)}).to(at::kFloat);
  if (rows.size(0) == 0) return;
  const Tensor magnitudes = rows.abs();
  sum_ = sum_.defined() ? sum_ + magnitudes.sum(0) : magnitudes.sum(0);
  largest_ = largest_.defined() ? at::maximum(largest_, magnitudes.amax(0)) : magnitudes.amax(0);
  const int64_t first = (stride_ - rows_ % stride_) % stride_;
  rows_ += rows.size(0);
  if (first >= rows.size(0)) return;
  pieces_.push_back(rows.slice(0, first, rows.size(0), stride_).clone());
  kept_ += pieces_.back().size(0);
  while (kept_ > most_rows_) {  // every second row goes; those that stay are multiples of the new stride
    const Tensor half = at::cat(pieces_).slice(0, 0, kept_, 2).clone();
    pieces_ = {half};
    kept_ = half.size(0);
    stride_ *= 2;
  }
}

Tensor InputStatistics::sample() const { return at::cat(pieces_); }

Calibration::Calibration(const std::vector<SharedInput>& inputs, int64_t most_rows)
    : statistics_(inputs.size(), InputStatistics(most_rows)) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    watched_.push_back(inputs[i].consumers.front().layer);
    watched_.back()->observer = &statistics_[i];
  }
}

Calibration::~Calibration() {
  for (nn::Linear* layer : watched_) layer->observer = nullptr;
}

}  // namespace tessera::quant
