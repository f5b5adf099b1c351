// How alive greedy text is while a model is being trained (Hyperfitting, ICLR 2025): continuations of held-out
// windows, and how certain the model is of the windows' own words.
#pragma once

#include <vector>

#include "models/lm/architecture/module.h"
#include "text/tokenizer.h"

namespace tessera::lm {

struct RepetitionMetrics {
  double ttr = 0;       // type-token ratio of the greedy continuations, special tokens not counted
  double repeated = 0;  // share of their 4-grams that were there before
  double entropy = 0;   // of the predictions of the windows' own tokens, nats
  double top1 = 0;      // mean probability of the most likely token there
};

inline constexpr int64_t repetition_prompt = 32;  // tokens of a window that are continued, as in the paper

/// Windows of at most repetition_prompt tokens are left out; all zero when none is left. `most`: new tokens of a continuation; the
/// context must hold both. `device`: the model's.
RepetitionMetrics measure_repetition(const DecoderLm& model, const text::Tokenizer& tokenizer,
                                     const std::vector<std::vector<int32_t>>& windows, int64_t most, at::Device device);

}  // namespace tessera::lm
