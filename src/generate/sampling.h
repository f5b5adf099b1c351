// From logits to bits: guidance, temperature, top-p and the draw itself. A draw depends on (seed, picture, scale, position,
// bit) alone, so a picture is the same whatever batch it is drawn in.
#pragma once

#include "tensor/tensor.h"

namespace tessera::generate {

/// Classifier-free guidance on logits: cfg * conditional + (1 - cfg) * unconditional.
Tensor guided(const Tensor& conditional, const Tensor& unconditional, double cfg);

struct BitSampling {
  double tau = 1.0;    // temperature; 0 takes the likelier value
  double top_p = 1.0;  // a value of probability at most 1 - top_p is never drawn
  uint64_t seed = 0;
  uint64_t first_picture = 0;  // index of the batch's first picture
  uint64_t scale = 0;
};

/// logits [B, L, d, 2] -> bits [B, L, d] bool on the same device.
Tensor sample_bits(const Tensor& logits, const BitSampling& options);

}  // namespace tessera::generate
