// Next-scale generation: coarse to fine, each scale's bits added to a growing sum of codes. Knows no model: one step is a function.
#pragma once

#include <functional>
#include <vector>

#include "codec/bsq.h"
#include "tensor/tensor.h"

namespace tessera::generate {

/// Classifier-free guidance on logits: cfg * conditional + (1 - cfg) * unconditional.
Tensor guided(const Tensor& conditional, const Tensor& unconditional, double cfg);

struct BitSampling {
  double tau = 1.0;    // temperature; 0 takes the more likely value
  double top_p = 1.0;  // a value of probability at most 1 - top_p is never drawn
  uint64_t seed = 0;
  uint64_t first_picture = 0;  // index of the batch's first picture
  uint64_t scale = 0;
  /// Draws of Exp(1) [B, L, d, 2] in place of the seed's numbers: a bit is arg-max(p / e) over its two values, as torch.multinomial draws it.
  /// For comparisons with programs whose generator is another one.
  Tensor exponentials;
};

/// logits [B, L, d, 2] -> bits [B, L, d] bool on the same device.
Tensor sample_bits(const Tensor& logits, const BitSampling& options);

/// Bits [B, d, h, w] of scale k, given the sum [B, d, H, W] of the codes of earlier scales (zeros for k = 0).
using ScaleStep = std::function<Tensor(size_t scale, const Tensor& sum)>;

struct ScaleLoop {
  std::vector<codec::ScaleShape> scales;  // grids of the codec; the last one is the size of the sum
  int64_t bits = 16;                      // d
  int64_t batch = 1;
  at::Device device = at::kCPU;
  /// Bits that replace those of the first scales ("gt_leak"); the step still runs, so that its state stays whole.
  std::vector<Tensor> given;
  /// Sees the sum after every scale.
  std::function<void(size_t scale, const Tensor& sum)> on_scale;
};

struct ScaleLoopResult {
  std::vector<Tensor> bits;  // per scale [B, d, h, w] bool
  Tensor sum;                // [B, d, H, W]
};

ScaleLoopResult run(const ScaleLoop& loop, const ScaleStep& step);

}  // namespace tessera::generate
