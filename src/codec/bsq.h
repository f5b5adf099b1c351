// Binary spherical quantisation over a residual pyramid (arXiv 2412.04431, section 3.2): a latent becomes bits, scale
// by scale, coarse to fine. What must stay true: decoding the bits gives exactly the sums that encoding computed.
#pragma once

#include <optional>
#include <vector>

#include "core/rng.h"
#include "tensor/tensor.h"

namespace tessera::codec {

/// One scale's grid.
struct ScaleShape {
  int64_t height = 1;
  int64_t width = 1;
  int64_t area() const { return height * width; }
  bool operator==(const ScaleShape&) const = default;
};

/// Square grids from edges.
std::vector<ScaleShape> square_scales(const std::vector<int64_t>& edges);

/// bits (bool or 0/1) [B, d, h, w] -> codes of unit length, +-1/sqrt(d), as float.
Tensor bits_to_codes(const Tensor& bits);
/// Shrinks a latent [B, d, H, W] to a scale's grid by area averaging.
Tensor shrink(const Tensor& latent, ScaleShape to);
/// Grows codes [B, d, h, w] to a grid, bilinear without aligned corners (the reference's trilinear with one frame).
Tensor grow(const Tensor& codes, ScaleShape to);

/// What happened at each scale of a residual pass.
struct ResidualCodes {
  std::vector<Tensor> bits;       // per scale [B, d, h, w], bool: the sign of the residual, before any flip
  std::vector<Tensor> sums;       // per scale [B, d, H, W]: the full-size sum of codes up to and with that scale
  std::vector<Tensor> residuals;  // per scale [B, d, h, w]: what was quantised there
};

/// Quantises `latent` [B, d, H, W] over `scales` (the last one is H x W). A bit is residual > 0, strictly.
/// `flips`: per scale [B, d, h, w] bool, true where the code that enters the sum is inverted (bitwise self-correction,
/// section 3.4): later scales then see, and are labelled with, the residual against the flipped sum. Empty: none.
ResidualCodes quantise(const Tensor& latent, const std::vector<ScaleShape>& scales,
                       const std::vector<Tensor>& flips = {});

/// Per scale the sum of codes up to and with that scale, at the size of `full`: each [B, d, H, W].
std::vector<Tensor> running_sums(const std::vector<Tensor>& bits, ScaleShape full);
/// The last of running_sums().
Tensor sum_codes(const std::vector<Tensor>& bits, ScaleShape full);

/// Random flips for a batch: per scale one strength is drawn from {0, 1, ..., max_percent} percent for the whole batch,
/// then each bit flips with that probability. Returns bool tensors [B, d, h, w] on `device`.
std::vector<Tensor> random_flips(int64_t batch, int64_t bits, const std::vector<ScaleShape>& scales,
                                 int64_t max_percent, Rng rng, at::Device device);

/// E[H] - H[E] of the soft bits p = sigmoid(-4 u / sqrt(d) * inverse_temperature), u the unit-length residual [B, d, h, w]:
/// mean entropy of a bit less the entropy of its mean, summed over d (nats). Low: bits are certain and balanced.
Tensor entropy_penalty(const Tensor& residual, double inverse_temperature = 100);

}  // namespace tessera::codec
