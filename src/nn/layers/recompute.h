// Gradient checkpointing (arXiv 1604.06174): part of a model is computed again in the backward pass instead of being kept.
#pragma once

#include <functional>
#include <vector>

#include "tensor/module.h"

namespace tessera::nn {

/// f(x), without keeping what `f` computes on the way: the tape holds x alone, and the backward pass runs `f` once more. `f` must give
/// the same numbers each time (no random numbers but counted ones, no state that it changes) and live as long as the tape.
/// `trained`: the parameters inside `f` that are to get gradients. Autocast is in the second run what it was in the first.
/// Values and gradients are those of f(x), bit for bit.
Tensor recomputed(const std::function<Tensor(const Tensor&)>& f, const Tensor& x, const std::vector<Tensor>& trained);

/// The tensors of a module that require gradients.
template <HasTensors M> std::vector<Tensor> trained_tensors(const M& module) {
  std::vector<Tensor> all;
  for_each_tensor(const_cast<M&>(module), [&](const std::string&, Tensor& t) {  // the walk only reads
    if (t.requires_grad()) all.push_back(t);
  });
  return all;
}

}  // namespace tessera::nn
