// The loss of a language model's head: what its words cost, without ever holding the logits of all positions.
#pragma once

#include <optional>

#include "nn/layers/linear.h"

namespace tessera::nn {

/// Sum over rows of -log softmax(hidden weight^T)[target], fp32 []. hidden [N, C], weight [V, C], targets [N] int64.
/// `cap`: logits become cap tanh(logit / cap) first. Rows go through in groups of `rows`, and their gradients are made on the way,
/// so memory is that of rows x V; a second derivative is not to be had. Under autocast the products are in its format, the
/// softmax in fp32.
Tensor token_loss(const Tensor& hidden, const Tensor& weight, const Tensor& targets, std::optional<double> cap = {},
                  int64_t rows = 512);
/// The same of a head without a bias: as above while its weight is plain; a packed one, or one with an adapter, holds all logits at once.
Tensor token_loss(const Tensor& hidden, const Linear& head, const Tensor& targets, std::optional<double> cap = {});
/// -log softmax(hidden weight^T)[target] of every row, fp32 [N], for losses that weigh rows apart. Logits are made again in the backward
/// pass, so memory is that of `rows` x V here too; a second derivative is not to be had.
Tensor token_losses(const Tensor& hidden, const Tensor& weight, const Tensor& targets, std::optional<double> cap = {},
                    int64_t rows = 512);
Tensor token_losses(const Tensor& hidden, const Linear& head, const Tensor& targets, std::optional<double> cap = {});
/// token_loss() by the plain chain of ATen calls, all logits at once.
Tensor token_loss_composed(const Tensor& hidden, const Tensor& weight, const Tensor& targets,
                           std::optional<double> cap = {});

}  // namespace tessera::nn
