// Norms as ATen calls.
#include "nn/layers/norm.h"

#include <ATen/ops/layer_norm.h>

#include "nn/kernels/token_ops.h"
#include "tensor/build.h"

namespace tessera::nn {

Tensor layer_norm(const Tensor& x, double eps) { return at::layer_norm(x, {x.size(-1)}, {}, {}, eps); }

LayerNorm::LayerNorm(int64_t width) : weight(constant_weight({width}, 1)), bias(constant_weight({width}, 0)) {}

Tensor LayerNorm::forward(const Tensor& x) const { return at::layer_norm(x, {x.size(-1)}, weight, bias, eps); }

RmsNorm::RmsNorm(int64_t width, double eps, bool plus_one)
    : weight(constant_weight({width}, plus_one ? 0 : 1)), eps(eps), plus_one(plus_one) {}

Tensor RmsNorm::forward(const Tensor& x) const { return rms_norm(x, weight, eps, plus_one ? 1 : 0); }

}  // namespace tessera::nn
