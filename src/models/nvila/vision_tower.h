// The SigLIP tower (arXiv 2303.15343): patches of a picture as tokens, pre-norm blocks over all of them. Tensor names are those
// of the Hugging Face checkpoints. Blocks that the selected feature does not go through are not built.
#pragma once

#include <vector>

#include "models/nvila/config.h"
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"

namespace tessera::nvila {

struct VisionAttention {
  int64_t heads = 1;
  nn::Linear q_proj, k_proj, v_proj, out_proj;

  VisionAttention() = default;
  VisionAttention(int64_t width, int64_t heads);
  /// x [N, P, width]; every position sees every other.
  Tensor forward(const Tensor& x) const;
};
template <class V> void tensors(V& v, VisionAttention& m) {
  v("k_proj", m.k_proj);
  v("v_proj", m.v_proj);
  v("q_proj", m.q_proj);
  v("out_proj", m.out_proj);
}

struct VisionBlock {
  nn::LayerNorm layer_norm1, layer_norm2;
  VisionAttention self_attn;
  nn::FeedForward mlp;

  VisionBlock() = default;
  explicit VisionBlock(const VisionConfig& config);
  /// x [N, P, width].
  Tensor forward(Tensor x) const;
};
template <class V> void tensors(V& v, VisionBlock& m) {
  v("layer_norm1", m.layer_norm1);
  v("self_attn", m.self_attn);
  v("layer_norm2", m.layer_norm2);
  v("mlp", m.mlp);
}

struct VisionTower {
  VisionConfig config;
  Tensor patch_weight, patch_bias;  // [width, 3, patch, patch], [width]
  Tensor positions;                 // [grid * grid, width]
  std::vector<VisionBlock> layers;

  VisionTower() = default;
  explicit VisionTower(const VisionConfig& config);

  /// pixels [N, 3, S, S], normalised -> features [N, grid * grid, width], row-major, without a last norm.
  /// `recompute`: blocks are computed again in the backward pass instead of kept (gradient checkpointing).
  Tensor forward(const Tensor& pixels, bool recompute = false) const;
};
template <class V> void tensors(V& v, VisionTower& m) {
  v("vision_model.embeddings.patch_embedding.weight", m.patch_weight);
  v("vision_model.embeddings.patch_embedding.bias", m.patch_bias);
  v("vision_model.embeddings.position_embedding.weight", m.positions);
  v("vision_model.encoder.layers", m.layers);
}

}  // namespace tessera::nvila
