// From logits to one token: penalty, temperature, top-k, top-p, min-p and the draw. A draw depends on (seed, row,
// token number) alone, so a row is the same in every batch.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "tensor/tensor.h"

namespace tessera::generate {

/// How a token is drawn from logits. Filters act in the order of these fields; each sees the probabilities that the
/// ones before left.
struct TokenSampling {
  double repetition_penalty = 1;  // divides positive and multiplies negative logits of tokens seen (arXiv 1909.05858)
  double temperature = 0;         // 0 is greedy
  int64_t top_k = 0;              // the k most likely, with all that tie with the last of them; 0: all
  double top_p =
      1;  // nucleus sampling: the smallest set of most likely tokens whose probabilities sum to at least top_p
  double min_p = 0;   // at least min_p times as likely as the most likely
  uint64_t seed = 0;  // row r, token t is drawn by (seed, r, t) alone
  bool operator==(const TokenSampling&) const = default;
};

/// Throws UserError, in the words of the command line, for a number out of range.
void check(const TokenSampling& sampling);

/// A token that may be drawn.
struct Candidate {
  int32_t id = 0;
  double probability = 0;
};

/// Divides or multiplies the logits [V] fp32 (CPU) of `seen` in place; ids outside of V are ignored.
void penalise(Tensor& logits, const std::unordered_set<int32_t>& seen, double penalty);

/// What the filters leave of logits [V] fp32 (CPU) at a temperature above 0, with probabilities that sum to 1, by
/// rising id. The penalty is not part of it. Throws FaultError when the logits hold NaN or nothing finite.
std::vector<Candidate> candidates(const Tensor& logits, const TokenSampling& sampling);

/// Throws FaultError when a largest logit is NaN or infinite: of such logits nothing can be drawn.
void require_finite(float largest);

/// The most likely token, the first of equals. Throws FaultError as above.
int32_t argmax_token(const Tensor& logits);

/// Draws token number `token` of row `row`; greedy at temperature 0.
int32_t sample_token(const Tensor& logits, const TokenSampling& sampling, uint64_t row, uint64_t token);

}  // namespace tessera::generate
