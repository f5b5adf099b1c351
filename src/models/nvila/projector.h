// From the tower's features to the language model's embeddings, 4 or 9 neighbouring patches at a time ("compress").
// Indices are those of the checkpoint's `layers`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nn/layers/linear.h"
#include "nn/layers/norm.h"

namespace tessera::nvila {

/// What an `mm_projector_type` means.
struct ProjectorShape {
  enum class Step { space_to_channel, norm, linear, gelu };
  std::vector<Step> steps;  // by index
  int64_t factor = 1;       // patches along an edge that become one token

  /// Tokens along the edge of a tile with `grid` patches along it; a rest is filled with zeros.
  int64_t grid_after(int64_t grid) const { return (grid + factor - 1) / factor; }
};

/// Throws UserError that lists the supported types.
ProjectorShape projector_shape(std::string_view type);

/// x [N, g * g, C] -> [N, (g / k)^2, k * k * C], g filled up with zeros below and to the right to a multiple of k;
/// channels in the order (row, column, channel).
Tensor space_to_channel(const Tensor& x, int64_t k);

struct Projector {
  ProjectorShape shape;
  std::vector<std::optional<nn::LayerNorm>> norms;  // by index, where there is one
  std::vector<std::optional<nn::Linear>> linears;

  Projector() = default;
  /// `width`: of the features, `out`: of the language model.
  Projector(std::string_view type, int64_t width, int64_t out);

  /// x [N, g * g, width] -> [N, T, out].
  Tensor forward(Tensor x) const;
  /// Of its numbers, and so of what it takes.
  at::ScalarType format() const;
};
template <class V> void tensors(V& v, Projector& m) {
  v("layers", m.norms);
  v("layers", m.linears);
}

}  // namespace tessera::nvila
