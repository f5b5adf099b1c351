// The forward pass. Formats: what a weight's format is, its product has; norms, softmax and logits come out of fp32
// sums.
#include "models/lm/architecture/module.h"

#include <cmath>

#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>

#include "nn/attention/grouped_attention.h"
#include "nn/kernels/row_linear.h"
#include "nn/kernels/token_ops.h"
#include "nn/layers/recompute.h"
#include "tensor/build.h"

namespace tessera::lm {

namespace {
nn::RmsNorm norm_of(const LmConfig& c) { return nn::RmsNorm(c.width, c.norm_eps, c.norm_plus_one); }

/// x [B, L, H, head_dim] -> [B, H, L, head_dim], its first numbers turned by the angles, the others as they are.
Tensor turned(const Tensor& x, const nn::Rope1d& rope) {
  const int64_t dim = 2 * rope.cos.size(-1), rest = x.size(-1) - dim;
  if (rest == 0) return nn::rotate_halves(x, rope.cos, rope.sin);
  return at::cat({nn::rotate_halves(x.narrow(-1, 0, dim).contiguous(), rope.cos, rope.sin),
                  x.narrow(-1, dim, rest).transpose(1, 2)},
                 -1);
}
}  // namespace

Attention::Attention(const LmConfig& c)
    : q_proj(c.width, (c.attention_gate ? 2 : 1) * c.heads * c.head_dim, c.qkv_bias),
      k_proj(c.width, c.kv_heads * c.head_dim, c.qkv_bias), v_proj(c.width, c.kv_heads * c.head_dim, c.qkv_bias),
      o_proj(c.heads * c.head_dim, c.width, c.out_bias) {
  if (!c.qk_norm && !c.head_norm) return;
  q_norm.emplace(c.head_norm ? c.head_dim : c.heads * c.head_dim, c.norm_eps, c.norm_plus_one);
  k_norm.emplace(c.head_norm ? c.head_dim : c.kv_heads * c.head_dim, c.norm_eps, c.norm_plus_one);
}

Tensor Attention::forward(const LmConfig& c, const Tensor& x, const Positions& positions, size_t layer,
                          nn::KvCache* cache) const {
  Tensor q = q_proj.forward(x), k = k_proj.forward(x), v = v_proj.forward(x);  // [B, L, heads * head_dim]
  if (c.qk_norm) {
    q = q_norm->forward(q);
    k = k_norm->forward(k);
  }
  q = q.unflatten(-1, {c.heads, -1});
  const Tensor gate = c.attention_gate ? q.narrow(-1, c.head_dim, c.head_dim).flatten(-2) : Tensor();
  if (c.attention_gate) q = q.narrow(-1, 0, c.head_dim).contiguous();
  k = k.unflatten(-1, {c.kv_heads, c.head_dim});
  v = v.unflatten(-1, {c.kv_heads, c.head_dim}).transpose(1, 2);
  if (c.head_norm) {
    q = q_norm->forward(q);
    k = k_norm->forward(k);
  }
  const bool windowed = c.windowed(layer);
  const nn::Rope1d& rope = windowed && present(positions.window_rope.cos) ? positions.window_rope : positions.rope;
  q = c.rotated(layer) ? turned(q, rope) : q.transpose(1, 2);  // [B, H, L, head_dim]
  k = c.rotated(layer) ? turned(k, rope) : k.transpose(1, 2);  // [B, G, L, head_dim]
  const double scale = c.softmax_scale();
  const Tensor& mask = windowed && present(positions.window_mask) ? positions.window_mask : positions.mask;
  const Tensor attended =  // [B, L, H * head_dim]
      cache ? cache->attend(layer, q, k, v,
                            {.scale = scale, .cap = c.attention_cap, .window = windowed ? c.window : std::nullopt})
            : nn::attend_grouped(q, k, v, {.mask = mask, .scale = scale, .cap = c.attention_cap});
  if (!c.attention_gate) return o_proj.forward(attended);
  return o_proj.forward(attended * nn::elementwise(gate, [](const Tensor& x) { return x.sigmoid(); }));
}

GatedFeedForward::GatedFeedForward(const LmConfig& c)
    : gate_proj(c.width, c.hidden, c.mlp_bias), up_proj(c.width, c.hidden, c.mlp_bias),
      down_proj(c.hidden, c.width, c.mlp_bias) {}

Tensor GatedFeedForward::forward(const LmConfig& c, const Tensor& x) const {
  const Tensor gate = gate_proj.forward(x), up = up_proj.forward(x);  // [..., hidden]
  if (!c.gelu) return down_proj.forward(nn::gated_silu(gate, up));
  return down_proj.forward(nn::elementwise(gate, [](const Tensor& x) { return at::gelu(x, "tanh"); }) * up);
}

Block::Block(const LmConfig& c, size_t layer) : mlp(c) {
  if (c.attends(layer)) self_attn.emplace(c);
  else linear_attn.emplace(c);
  if (c.norm_before) input_layernorm = norm_of(c);
  post_attention_layernorm = norm_of(c);
  if (c.norm_before && c.norm_after) pre_feedforward_layernorm = norm_of(c);
  if (c.norm_after) post_feedforward_layernorm = norm_of(c);
}

Tensor Block::forward(const LmConfig& c, const Tensor& x, const Positions& positions, size_t layer,
                      nn::KvCache* cache) const {
  const auto normed = [](const auto& norm, const Tensor& t) { return norm ? norm->forward(t) : t; };
  const auto& before_mlp = c.norm_after ? pre_feedforward_layernorm : post_attention_layernorm;
  const Tensor before = normed(input_layernorm, x);
  const Tensor attended = self_attn ? self_attn->forward(c, before, positions, layer, cache)
                                    : linear_attn->forward(c, before, positions.since, layer, cache);
  const Tensor y = x + (c.norm_after ? normed(post_attention_layernorm, attended) : attended);
  return y + normed(post_feedforward_layernorm, mlp.forward(c, normed(before_mlp, y)));
}

DecoderLm::DecoderLm(const LmConfig& c) : config(c) {
  validate(c);
  embed_tokens = nn::Embedding(c.vocabulary, c.width);
  for (size_t i = 0; i < static_cast<size_t>(c.depth); ++i) layers.emplace_back(c, i);
  norm = norm_of(c);
  if (!c.tied) lm_head = nn::Linear(c.width, c.vocabulary, false);
  rotary = rotary_table(c);
  window_rotary = window_rotary_table(c);
}

Tensor DecoderLm::embed(const Tensor& ids) const {
  const Tensor rows = embed_tokens.forward(ids).to(norm.weight.scalar_type());  // packed models keep it narrower
  if (!config.scaled_embedding) return rows;
  const at::Scalar scale = std::sqrt(static_cast<double>(config.width));
  return rows *
         at::scalar_tensor(scale, rows.options());  // the factor is rounded to the embedding's format, as in Gemma
}

Tensor DecoderLm::forward(const Tensor& embeddings, const Positions& positions, nn::KvCache* cache) const {
  Tensor x = embeddings;  // [B, L, C]
  for (size_t i = 0; i < layers.size(); ++i) {
    if (positions.recompute && !cache) {
      const auto block = [this, positions, i](const Tensor& in) {
        return layers[i].forward(config, in, positions, i, nullptr);
      };
      x = nn::recomputed(block, x, nn::trained_tensors(layers[i]));
    } else {
      x = layers[i].forward(config, x, positions, i, cache);
    }
  }
  return norm.forward(x);
}

nn::Linear DecoderLm::head() const { return config.tied ? embed_tokens.as_linear() : lm_head; }

Tensor DecoderLm::logits(const Tensor& hidden) const { return capped(head().forward(hidden).to(at::kFloat)); }

Tensor DecoderLm::capped(const Tensor& logits) const {
  if (!config.logit_cap) return logits;
  return nn::elementwise(logits / *config.logit_cap, [](const Tensor& x) { return x.tanh(); }) * *config.logit_cap;
}

}  // namespace tessera::lm
