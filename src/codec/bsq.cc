// The residual pyramid. `quantise` and `sum_codes` share one line, grow(bits_to_codes(bits)), so they cannot disagree.
#include "codec/bsq.h"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

namespace tessera::codec {

namespace {
ScaleShape shape_of(const Tensor& x) { return {x.size(2), x.size(3)}; }

/// Entropy in nats of a bit with logit x: softplus(x) - x * sigmoid(x), stable for large |x|.
Tensor binary_entropy(const Tensor& logit) { return at::softplus(logit) - logit * logit.sigmoid(); }
}  // namespace

std::vector<ScaleShape> square_scales(const std::vector<int64_t>& edges) {
  std::vector<ScaleShape> scales;
  for (const int64_t edge : edges) scales.push_back({edge, edge});
  return scales;
}

Tensor bits_to_codes(const Tensor& bits) {
  const double unit = 1.0 / std::sqrt(static_cast<double>(bits.size(1)));
  return bits.to(at::kFloat).mul_(2 * unit).sub_(unit);
}

Tensor shrink(const Tensor& latent, ScaleShape to) {
  return shape_of(latent) == to ? latent : at::adaptive_avg_pool2d(latent, {to.height, to.width});
}

Tensor grow(const Tensor& codes, ScaleShape to) {
  return shape_of(codes) == to ? codes : at::upsample_bilinear2d(codes, {to.height, to.width}, /*align_corners=*/false);
}

ResidualCodes quantise(const Tensor& latent, const std::vector<ScaleShape>& scales, const std::vector<Tensor>& flips) {
  ResidualCodes out;
  const ScaleShape full = shape_of(latent);
  Tensor sum = at::zeros_like(latent);
  for (size_t k = 0; k < scales.size(); ++k) {
    const Tensor residual = shrink(latent - sum, scales[k]);  // [B, d, h, w]
    const Tensor bits = residual > 0;
    const Tensor entering = flips.empty() ? bits : bits.logical_xor(flips[k]);
    sum = sum + grow(bits_to_codes(entering), full);
    out.bits.push_back(bits);
    out.sums.push_back(sum);
    out.residuals.push_back(residual);
  }
  return out;
}

std::vector<Tensor> running_sums(const std::vector<Tensor>& bits, ScaleShape full) {
  std::vector<Tensor> sums;
  for (const Tensor& of_scale : bits) {
    const Tensor grown = grow(bits_to_codes(of_scale), full);
    sums.push_back(sums.empty() ? grown : sums.back() + grown);
  }
  return sums;
}

Tensor sum_codes(const std::vector<Tensor>& bits, ScaleShape full) { return running_sums(bits, full).back(); }

std::vector<Tensor> random_flips(int64_t batch, int64_t bits, const std::vector<ScaleShape>& scales,
                                 int64_t max_percent, Rng rng, at::Device device) {
  std::vector<Tensor> flips;
  for (const ScaleShape& scale : scales) {
    const double strength = static_cast<double>(rng.below(static_cast<uint64_t>(max_percent) + 1)) / 100;
    Tensor flip = at::empty({batch, bits, scale.height, scale.width}, at::kBool);
    bool* data = flip.mutable_data_ptr<bool>();
    for (int64_t i = 0; i < flip.numel(); ++i) data[i] = rng.chance(strength);
    flips.push_back(flip.to(device));
  }
  return flips;
}

Tensor entropy_penalty(const Tensor& residual, double inverse_temperature) {
  const double d = static_cast<double>(residual.size(1));
  const Tensor unit = residual / residual.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
  const Tensor logit = unit * (-4 / std::sqrt(d) * inverse_temperature);
  const Tensor mean_probability = logit.sigmoid().mean({0, 2, 3}).clamp(1e-6, 1 - 1e-6);  // [d]
  const Tensor of_each = binary_entropy(logit).mean({0, 2, 3}).sum();
  const Tensor of_mean = binary_entropy(mean_probability.logit()).sum();
  return of_each - of_mean;
}

}  // namespace tessera::codec
