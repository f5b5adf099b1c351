// Log probabilities of answers with gradients, a sequence apart from the others: what losses over whole answers stand on (preferences,
// policy gradients, distillation).
#pragma once

#include <cstdint>
#include <vector>

#include "models/lm/architecture/module.h"
#include "train/packing.h"

namespace tessera::lm {

/// The graded tokens of several sequences, in the order of the packed rows; those of one sequence are in their own order.
struct AnswerScores {
  Tensor log_probabilities;  // [T] fp32, differentiable
  Tensor sequence;           // [T] int64: the sequence that each belongs to
  Tensor counts;             // [S] fp32: graded tokens of each sequence
  Tensor hidden;             // [T, C]: the states that the head read
  double padding = 0;        // share of positions that were padding

  /// Of each sequence [S], in nats; 0 where nothing is graded.
  Tensor sums() const;
};

struct AnswerScoring {
  int64_t room = 0;        // longest row, positions
  bool pack = true;        // several sequences in a row where they fit
  bool recompute = false;  // gradient checkpointing
  at::Device device = at::kCPU;
};

/// One pass over `sequences`, none of them longer than `room`. A tape is kept where gradients are on.
AnswerScores score_answers(const DecoderLm& model, const std::vector<train::Sequence>& sequences,
                           const AnswerScoring& how);

}  // namespace tessera::lm
