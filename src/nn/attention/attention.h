// Attention over heads: normalised-qk self attention (Infinity), cross attention to a prompt, and a plain bidirectional one.
#pragma once

#include "nn/attention/kv_cache.h"
#include "nn/attention/rope.h"
#include "nn/layers/linear.h"

namespace tessera::nn {

/// softmax(scale * q k^T + mask) v. q [B, H, L, head_dim], k and v [B, H, S, head_dim]; mask is additive and broadcasts
/// to [B, H, L, S], or is absent. Returns [B, L, H * head_dim].
Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, double scale);

/// Additive mask [B, 1, 1, T]: 0 for the first lengths[b] positions, -inf after them. lengths [B] int64.
Tensor padding_mask(const Tensor& lengths, int64_t width);

/// What a CosineSelfAttention makes of its small tensors; the same for every call, so made once per picture.
struct CosineConstants {
  Tensor bias;   // [3C]
  Tensor scale;  // [H]
};

/// Self attention with L2-normalised q and k and a learned scale per head, at most 100; biases on q and v alone.
struct CosineSelfAttention {
  Linear mat_qkv;                      // [3C, C], no bias of its own
  Tensor q_bias, v_bias, zero_k_bias;  // [C]; zero_k_bias is stored but not trained
  Tensor scale_mul;                    // [1, H, 1, 1], log of the scale; starts at ln 4
  Linear proj;

  CosineSelfAttention() = default;
  CosineSelfAttention(int64_t width, int64_t heads);

  CosineConstants constants() const;
  /// x [B, L, C]. With a cache: attends to all cached positions and x itself, and adds x to it (post-RoPE keys).
  Tensor forward(const Tensor& x, const CosineConstants& constants, const Rope2d& rope, const Tensor& mask,
                 size_t layer, KvCache* cache) const;
};
template <class V> void tensors(V& v, CosineSelfAttention& m) {
  v("scale_mul_1H11", m.scale_mul), v("q_bias", m.q_bias), v("v_bias", m.v_bias), v("zero_k_bias", m.zero_k_bias);
  v("mat_qkv", m.mat_qkv), v("proj", m.proj);
}

/// Keys and values of a prompt, [B, H, T, head_dim]: the same for every scale, so computed once per picture.
struct PromptKeys {
  Tensor keys, values;
};

/// Attention from picture positions to the prompt; softmax scale 1 / sqrt(head_dim).
struct CrossAttention {
  int64_t heads = 1;
  Linear mat_q;                // [C, C]
  Linear mat_kv;               // [2C, prompt width], no bias of its own
  Tensor v_bias, zero_k_bias;  // [C]
  Linear proj;

  CrossAttention() = default;
  CrossAttention(int64_t width, int64_t heads, int64_t prompt_width);

  /// prompt [B, T, prompt width].
  PromptKeys keys(const Tensor& prompt) const;
  /// x [B, L, C]; padding as from padding_mask, or absent. Returns [B, L, C].
  Tensor forward(const Tensor& x, const PromptKeys& prompt, const Tensor& padding) const;
};
template <class V> void tensors(V& v, CrossAttention& m) {
  v("mat_q", m.mat_q), v("mat_kv", m.mat_kv), v("v_bias", m.v_bias), v("zero_k_bias", m.zero_k_bias), v("proj", m.proj);
}

/// One learned query per head that pools a prompt into a vector [B, C].
struct AttentionPool {
  Tensor mat_q;                // [1, H, C / H]
  Linear mat_kv;               // [2C, prompt width], no bias of its own
  Tensor v_bias, zero_k_bias;  // [C]
  Linear proj;

  AttentionPool() = default;
  AttentionPool(int64_t width, int64_t heads, int64_t prompt_width);
  /// prompt [B, T, prompt width] -> [B, C].
  Tensor forward(const Tensor& prompt, const Tensor& padding) const;
};
template <class V> void tensors(V& v, AttentionPool& m) {
  v("mat_q", m.mat_q), v("v_bias", m.v_bias), v("zero_k_bias", m.zero_k_bias), v("mat_kv", m.mat_kv), v("proj", m.proj);
}

/// Bidirectional self attention with biases everywhere; softmax scale 1 / sqrt(head_dim).
struct SelfAttention {
  int64_t heads = 1;
  Linear qkv, proj;

  SelfAttention() = default;
  SelfAttention(int64_t width, int64_t heads);
  Tensor forward(const Tensor& x, const Tensor& mask) const;
};
template <class V> void tensors(V& v, SelfAttention& m) { v("qkv", m.qkv), v("proj", m.proj); }

}  // namespace tessera::nn
