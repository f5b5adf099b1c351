// The gated delta rule (Gated Delta Networks, arXiv 2412.06464): attention whose memory is a matrix of fixed size. Two forms that give
// the same numbers to rounding: chunk by chunk, for many positions and for training, and position by position.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace tessera::nn {

/// What the rule reads of L positions, fp32. H counts heads of values; keys that several share are repeated.
struct DeltaRule {
  Tensor q, k;   // [B, H, L, K], of unit length; q times its scale
  Tensor v;      // [B, H, L, V]
  Tensor decay;  // [B, H, L]: logarithm of the share of the state that stays, at most 0
  Tensor beta;   // [B, H, L]: share of the difference that is written, 0 to 1
};

struct DeltaResult {
  Tensor out;    // [B, H, L, V]
  Tensor state;  // [B, H, K, V], after the last position
};

/// In chunks of `chunk` positions by the WY form (section 3.2 of the paper): within a chunk a triangular system and products of
/// matrices, between chunks the state. `state`: before the first position; absent: zeros. `since` [B or 1, L] int64: where each
/// position's own sequence began, so that nothing of an earlier one is seen; absent: all are one sequence. Gradients go through it;
/// under autocast it stays in fp32.
DeltaResult delta_rule_by_chunks(const DeltaRule& in, const Tensor& state = {}, const Tensor& since = {},
                                 int64_t chunk = 64);

/// One position after the other. On the CPU without gradients by a kernel (nn/kernels/delta_step.h), and then the bits do not depend on
/// how many positions are given at once.
DeltaResult delta_rule_by_steps(const DeltaRule& in, const Tensor& state = {});

}  // namespace tessera::nn
