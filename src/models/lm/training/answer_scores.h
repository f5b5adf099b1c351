// Log probabilities of answers with gradients, a sequence apart from the others: what losses over whole answers stand on (preferences,
// policy gradients, distillation).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/lm/training/objective.h"
#include "train/packing.h"

namespace tessera::lm {

/// What the `[loss]` tables of these losses have in common: how rows are made, and what is measured, shown and saved on the way.
struct AnswerRows {
  bool pack = true;
  bool recompute = false;
  int64_t heldout = 256;
  std::vector<std::string> prompts;
  int64_t prompt_tokens = 48;
  std::string stored = "f16";
  bool operator==(const AnswerRows&) const = default;
  /// The same for a language model's own objective, which measures, shows and saves; `length` as LmTraining has it.
  LmTraining lm(int64_t length = 0) const;
};
template <class V> void fields(V& v, AnswerRows& r) {
  v("pack", r.pack, "several sequences in a row where they fit");
  v("recompute", r.recompute, "compute blocks again in the backward pass instead of keeping them");
  v("heldout", r.heldout, "held-out samples that are measured");
  v("prompts", r.prompts, "beginnings that are continued into samples/");
  v("prompt_tokens", r.prompt_tokens, "tokens of a continuation");
  v("stored", r.stored, "format of saved weights: f16, bf16 or f32");
}

/// The graded tokens of several sequences, in the order of the packed rows; those of one sequence are in their own order.
struct AnswerScores {
  Tensor log_probabilities;  // [T] fp32, differentiable
  Tensor sequence;           // [T] int64: the sequence that each belongs to
  Tensor counts;             // [S] fp32: graded tokens of each sequence
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
