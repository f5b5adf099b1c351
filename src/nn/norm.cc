// Norms as ATen calls. `addcmul` keeps the modulation to one pass over the activations.
#include "nn/norm.h"

#include <ATen/ops/addcmul.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/rms_norm.h>

#include "tensor/build.h"

namespace tessera::nn {

Tensor layer_norm(const Tensor& x, double eps) { return at::layer_norm(x, {x.size(-1)}, {}, {}, eps); }

Tensor modulated_norm(const Tensor& x, const Tensor& scale, const Tensor& shift, double eps) {
  return at::addcmul(shift, layer_norm(x, eps), scale + 1);
}

LayerNorm::LayerNorm(int64_t width)
    : weight(constant_weight({width}, 1)), bias(constant_weight({width}, 0)) {}

Tensor LayerNorm::forward(const Tensor& x) const { return at::layer_norm(x, {x.size(-1)}, weight, bias, eps); }

RmsNorm::RmsNorm(int64_t width) : weight(constant_weight({width}, 1)) {}

Tensor RmsNorm::forward(const Tensor& x) const { return at::rms_norm(x, {x.size(-1)}, weight, eps); }

}  // namespace tessera::nn
