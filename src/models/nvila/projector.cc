// Projectors by type.
#include "models/nvila/projector.h"

#include <cmath>

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/gelu.h>

#include "core/error.h"

namespace tessera::nvila {

namespace {
using Step = ProjectorShape::Step;
constexpr double norm_eps = 1e-5;
}  // namespace

ProjectorShape projector_shape(std::string_view type) {
  if (type == "mlp_downsample" || type == "mlp_downsample_2x2_fix")
    return {{Step::space_to_channel, Step::norm, Step::linear, Step::gelu, Step::linear}, 2};
  if (type == "mlp_downsample_3x3_fix") {
    return {{Step::space_to_channel, Step::norm, Step::linear, Step::gelu, Step::norm, Step::linear, Step::gelu,
             Step::linear},
            3};
  }
  if (type == "mlp2x_gelu") return {{Step::linear, Step::gelu, Step::linear}, 1};
  throw UserError(
      "[nvila] projector type '{}' is not supported, want one of: mlp_downsample, mlp_downsample_2x2_fix, "
      "mlp_downsample_3x3_fix, mlp2x_gelu",
      type);
}

Tensor space_to_channel(const Tensor& x, int64_t k) {
  const int64_t count = x.size(0), channels = x.size(2);
  const auto grid = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(x.size(1)))));
  const int64_t fill = (k - grid % k) % k, edge = (grid + fill) / k;
  Tensor square = x.reshape({count, grid, grid, channels});
  if (fill > 0) square = at::constant_pad_nd(square, {0, 0, 0, fill, 0, fill});
  return square.reshape({count, edge, k, edge, k, channels})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({count, edge * edge, k * k * channels});
}

Projector::Projector(std::string_view type, int64_t width, int64_t out)
    : shape(projector_shape(type)), norms(shape.steps.size()), linears(shape.steps.size()) {
  int64_t now = width * shape.factor * shape.factor;
  int64_t left = 0;  // linear layers to come
  for (const Step step : shape.steps) left += step == Step::linear;
  for (size_t i = 0; i < shape.steps.size(); ++i) {
    if (shape.steps[i] == Step::norm) {
      norms[i].emplace(now).eps = norm_eps;
    } else if (shape.steps[i] == Step::linear) {
      const int64_t next = left-- > 2 ? 3 * width : out;  // three layers narrow in two steps: 9m -> 3m -> h -> h
      linears[i].emplace(now, next);
      now = next;
    }
  }
}

at::ScalarType Projector::format() const {
  for (const auto& linear : linears)
    if (linear && present(linear->bias)) return linear->bias.scalar_type();
  return at::kFloat;
}

Tensor Projector::forward(Tensor x) const {
  for (size_t i = 0; i < shape.steps.size(); ++i) {
    switch (shape.steps[i]) {
      case Step::space_to_channel:
        x = space_to_channel(x, shape.factor);
        break;
      case Step::norm:
        x = norms[i]->forward(x);
        break;
      case Step::linear:
        x = linears[i]->forward(x);
        break;
      case Step::gelu:
        x = at::gelu(x);
        break;
    }
  }
  return x;
}

}  // namespace tessera::nvila
