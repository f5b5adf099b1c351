// Reshapes only, but for the one resize that makes a scale's features.
#include "models/infinity/tokens.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/pixel_shuffle.h>
#include <ATen/ops/pixel_unshuffle.h>

namespace tessera::infinity {

Tensor to_tokens(const Tensor& grid, bool patchify) {
  return (patchify ? at::pixel_unshuffle(grid, 2) : grid).flatten(2).transpose(1, 2);
}

Tensor to_grid(const Tensor& tokens, ScaleShape scale, bool patchify) {
  const Tensor grid = tokens.transpose(1, 2).unflatten(2, {scale.height, scale.width});
  return patchify ? at::pixel_shuffle(grid, 2) : grid;
}

Tensor features_of(const Tensor& sum, ScaleShape scale, bool patchify) {
  const int64_t factor = patchify ? 2 : 1;
  return to_tokens(codec::grow(sum, {factor * scale.height, factor * scale.width}), patchify);
}

Tensor forced_features(const std::vector<Tensor>& sums, const Schedule& schedule, bool patchify) {
  std::vector<Tensor> features;
  for (size_t k = 1; k < schedule.scales.size(); ++k)
    features.push_back(features_of(sums[k - 1], schedule.scales[k], patchify));
  return at::cat(features, 1);
}

Tensor all_tokens(const std::vector<Tensor>& bits, bool patchify) {
  std::vector<Tensor> tokens;
  for (const Tensor& of_scale : bits) tokens.push_back(to_tokens(of_scale, patchify));
  return at::cat(tokens, 1);
}

Tensor codewords(const Tensor& bits) {
  return bits.to(at::kLong).bitwise_left_shift(at::arange(bits.size(-1), bits.options().dtype(at::kLong))).sum(-1);
}

}  // namespace tessera::infinity
