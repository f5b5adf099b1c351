// A revocable pass costs its inputs and the states before it, not a state for every position: going back takes in again what stays of
// the inputs, position by position as before, so that the bits are the same.
#include "nn/attention/recurrent_state.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/cat.h>

namespace tessera::nn {

int64_t RowStates::bytes(std::set<const void*>& counted) const {
  int64_t total = 0;
  const auto add = [&](const Tensor& t) {
    if (present(t) && counted.insert(t.storage().data()).second) total += static_cast<int64_t>(t.storage().nbytes());
  };
  for (const RecurrentState& layer : layers) add(layer.window), add(layer.memory);
  for (const Tensor& inputs : pending) add(inputs);
  return total;
}

void RecurrentRow::begin(size_t layers, int64_t length, bool revocable) {
  next_ = {.layers = std::vector<RecurrentState>(layers)};
  if (now_) next_.layers = now_->layers;
  open_ = {.length = length, .states = now_, .inputs = std::vector<Tensor>(layers)};
  revocable_ = revocable;
}

Tensor RecurrentRow::advance(size_t layer, const Tensor& x, const RecurrentStep& step) {
  RecurrentState& state = next_.layers[layer];
  const Tensor pending = now_ && !now_->pending.empty() ? now_->pending[layer] : Tensor();
  for (int64_t i = 0; present(pending) && i < pending.size(0); ++i) step(pending.narrow(0, i, 1), state);
  open_.inputs[layer] = x;
  return step(x, state);
}

void RecurrentRow::end() {
  if (!revocable_) passes_.clear();
  else passes_.push_back(std::move(open_));
  if (passes_.size() > most_passes) passes_.erase(passes_.begin());
  now_ = std::make_shared<const RowStates>(std::move(next_));
  next_ = {}, open_ = {};
}

/// The states after the first `count` positions of a pass.
KeptStates RecurrentRow::within(const Pass& pass, int64_t count) {
  if (count == 0) return pass.states;
  RowStates states{.layers = std::vector<RecurrentState>(pass.inputs.size())};
  if (pass.states) states = *pass.states;
  states.pending.resize(pass.inputs.size());
  for (size_t i = 0; i < pass.inputs.size(); ++i) {
    if (!present(pass.inputs[i])) continue;
    const Tensor own = pass.inputs[i].narrow(0, 0, count);
    states.pending[i] = present(states.pending[i]) ? at::cat({states.pending[i], own}) : own;
  }
  return std::make_shared<const RowStates>(std::move(states));
}

int64_t RecurrentRow::rewind(int64_t from, int64_t length, const Kept& other) {
  if (length >= from) return from;
  while (!passes_.empty() && passes_.back().length > length) {
    from = passes_.back().length;
    passes_.pop_back();
  }
  if (!passes_.empty() && length < from) {  // within the last one
    now_ = within(passes_.back(), length - passes_.back().length);
    passes_.pop_back();
    if (kept_ && kept_->length > length) kept_.reset();
    return length;
  }
  passes_.clear();
  Kept best = other;
  if (kept_ && kept_->length > length) kept_.reset();
  if (kept_ && kept_->length >= best.length) best = *kept_;
  now_ = best.states;
  return best.length;
}

int64_t RecurrentRow::bytes(std::set<const void*>& counted) const {
  int64_t total = now_ ? now_->bytes(counted) : 0;
  if (kept_ && kept_->states) total += kept_->states->bytes(counted);
  for (const Pass& pass : passes_) {
    total += RowStates{.layers = {}, .pending = pass.inputs}.bytes(counted);
    if (pass.states) total += pass.states->bytes(counted);
  }
  return total;
}

}  // namespace tessera::nn
