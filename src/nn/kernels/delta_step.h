// One position of the gated delta rule (arXiv 2412.06464) for one head on plain memory: no LibTorch. What comes out depends on the
// head's own numbers alone, bit for bit.
#pragma once

#include <cstdint>

namespace tessera::nn {

/// The state is a matrix [keys, values]: S' = decay * S + k (beta * (v - decay * S^T k))^T, and out = S'^T q.
struct DeltaHead {
  const float *q = nullptr, *k = nullptr;  // [keys]
  const float* v = nullptr;                // [values]
  float decay = 1, beta = 0;
  int64_t keys = 0, values = 0;
  const float* from = nullptr;  // the state before; null: zeros
  float* to = nullptr;          // the state after; may be `from`
  float* out = nullptr;         // [values]
};

/// `room`: `values` numbers of the caller's.
void delta_step(const DeltaHead& head, float* room);

}  // namespace tessera::nn
