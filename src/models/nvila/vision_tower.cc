// The tower's arithmetic; softmax and norms accumulate in fp32 for weights of any format.
#include "models/nvila/vision_tower.h"

#include <cmath>

#include <ATen/ops/conv2d.h>

#include "nn/attention/attention.h"
#include "nn/layers/recompute.h"
#include "tensor/build.h"

namespace tessera::nvila {

VisionAttention::VisionAttention(int64_t width, int64_t heads)
    : heads(heads), q_proj(width, width), k_proj(width, width), v_proj(width, width), out_proj(width, width) {}

Tensor VisionAttention::forward(const Tensor& x) const {
  const int64_t head_dim = x.size(-1) / heads;
  const auto split = [&](const nn::Linear& linear) {
    return linear.forward(x).unflatten(-1, {heads, head_dim}).transpose(1, 2);  // [N, H, P, head_dim]
  };
  return out_proj.forward(
      nn::attend(split(q_proj), split(k_proj), split(v_proj), {}, 1 / std::sqrt(static_cast<double>(head_dim))));
}

VisionBlock::VisionBlock(const VisionConfig& config)
    : layer_norm1(config.width), layer_norm2(config.width), self_attn(config.width, config.heads),
      mlp(config.width, config.hidden) {
  layer_norm1.eps = layer_norm2.eps = config.norm_eps;
}

Tensor VisionBlock::forward(Tensor x) const {
  x = x + self_attn.forward(layer_norm1.forward(x));
  return x + mlp.forward(layer_norm2.forward(x));
}

VisionTower::VisionTower(const VisionConfig& config)
    : config(config), patch_weight(empty_weight({config.width, 3, config.patch, config.patch})),
      patch_bias(constant_weight({config.width}, 0)),
      positions(empty_weight({config.grid() * config.grid(), config.width})) {
  for (int64_t i = 0; i < config.used_blocks(); ++i) layers.emplace_back(config);
}

Tensor VisionTower::forward(const Tensor& pixels, bool recompute) const {
  const Tensor patches = at::conv2d(pixels.to(patch_weight.scalar_type()), patch_weight, patch_bias, config.patch);
  Tensor x = patches.flatten(2).transpose(1, 2) + positions;  // [N, P, width]
  for (const VisionBlock& block : layers) {
    x = recompute
            ? nn::recomputed([&block](const Tensor& t) { return block.forward(t); }, x, nn::trained_tensors(block))
            : block.forward(x);
  }
  return x;
}

}  // namespace tessera::nvila
