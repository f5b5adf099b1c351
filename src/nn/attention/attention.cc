// One fused projection per attention; q, k and v are parts of its result, laid out [B, L, 3, H, head_dim].
#include "nn/attention/attention.h"

#include <ATen/autocast_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <limits>

#include "nn/kernels/fused.h"
#include "tensor/build.h"

namespace tessera::nn {

namespace {

PromptKeys prompt_keys(const Tensor& prompt, const Linear& mat_kv, const Tensor& k_bias, const Tensor& v_bias,
                       int64_t heads) {
  const Tensor kv = mat_kv.forward(prompt, at::cat({k_bias, v_bias}));
  const std::vector<Tensor> split =
      kv.unflatten(-1, {2, heads, v_bias.size(0) / heads}).unbind(2);  // 2 x [B, T, H, head_dim]
  return {split[0].transpose(1, 2), split[1].transpose(1, 2)};
}

}  // namespace

/// Up to so many positions LibTorch's bf16 attention spends more on setting up each head's small products than on them: for
/// 85 positions of 8 heads 87 ms forward and backward, where fp32 takes 24; at 512 they are equal.
constexpr int64_t few_positions = 256;

Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, double scale) {
  if (q.is_cpu() && k.size(2) <= few_positions && at::autocast::is_autocast_enabled(at::kCPU)) {
    const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
    const std::optional<Tensor> plain_mask = present(mask) ? std::optional(mask.to(at::kFloat)) : std::nullopt;
    return at::scaled_dot_product_attention(q.to(at::kFloat), k.to(at::kFloat), v.to(at::kFloat), plain_mask, 0.0,
                                            false, scale)
        .transpose(1, 2)
        .flatten(2);
  }
  const std::optional<Tensor> optional_mask = present(mask) ? std::optional(mask.to(q.scalar_type())) : std::nullopt;
  return at::scaled_dot_product_attention(q, k, v, optional_mask, 0.0, false, scale).transpose(1, 2).flatten(2);
}

Tensor padding_mask(const Tensor& lengths, int64_t width) {
  const Tensor beyond = at::arange(width, lengths.options()) >= lengths.unsqueeze(1);  // [B, T]
  const Tensor mask = at::zeros({lengths.size(0), width}, lengths.options().dtype(at::kFloat));
  return mask.masked_fill_(beyond, -std::numeric_limits<float>::infinity()).unsqueeze(1).unsqueeze(1);
}

CosineSelfAttention::CosineSelfAttention(int64_t width, int64_t heads)
    : mat_qkv(width, 3 * width, false), q_bias(constant_weight({width}, 0)), v_bias(constant_weight({width}, 0)),
      zero_k_bias(constant_weight({width}, 0)), scale_mul(constant_weight({1, heads, 1, 1}, std::log(4.0))),
      proj(width, width) {}

CosineConstants CosineSelfAttention::constants() const {
  return {at::cat({q_bias, zero_k_bias, v_bias}), scale_mul.clamp_max(std::log(100.0)).exp().flatten()};
}

Tensor CosineSelfAttention::forward(const Tensor& x, const CosineConstants& constants, const Rope2d& rope,
                                    const Tensor& mask, size_t layer, KvCache* cache) const {
  const auto [q, k, v] = cosine_heads(mat_qkv.forward(x, constants.bias), constants.scale, rope);
  return proj.forward(cache ? cache->attend(layer, q, k, v, {}) : attend(q, k, v, mask, 1.0));
}

CrossAttention::CrossAttention(int64_t width, int64_t heads, int64_t prompt_width)
    : heads(heads), mat_q(width, width), mat_kv(prompt_width, 2 * width, false), v_bias(constant_weight({width}, 0)),
      zero_k_bias(constant_weight({width}, 0)), proj(width, width) {}

PromptKeys CrossAttention::keys(const Tensor& prompt) const {
  return prompt_keys(prompt, mat_kv, zero_k_bias, v_bias, heads);
}

Tensor CrossAttention::forward(const Tensor& x, const PromptKeys& prompt, const Tensor& padding) const {
  const int64_t head_dim = x.size(-1) / heads;
  const Tensor q = mat_q.forward(x).unflatten(-1, {heads, head_dim}).transpose(1, 2);
  return proj.forward(attend(q, prompt.keys, prompt.values, padding, 1.0 / std::sqrt(static_cast<double>(head_dim))));
}

AttentionPool::AttentionPool(int64_t width, int64_t heads, int64_t prompt_width)
    : mat_q(empty_weight({1, heads, width / heads})), mat_kv(prompt_width, 2 * width, false),
      v_bias(constant_weight({width}, 0)), zero_k_bias(constant_weight({width}, 0)), proj(width, width) {}

Tensor AttentionPool::forward(const Tensor& prompt, const Tensor& padding) const {
  const int64_t heads = mat_q.size(1), head_dim = mat_q.size(2);
  const PromptKeys kv = prompt_keys(prompt, mat_kv, zero_k_bias, v_bias, heads);
  const Tensor q = mat_q.unsqueeze(2).expand({prompt.size(0), heads, 1, head_dim});
  return proj.forward(attend(q, kv.keys, kv.values, padding, 1.0 / std::sqrt(static_cast<double>(head_dim))))
      .squeeze(1);
}

SelfAttention::SelfAttention(int64_t width, int64_t heads) : heads(heads), qkv(width, 3 * width), proj(width, width) {}

Tensor SelfAttention::forward(const Tensor& x, const Tensor& mask) const {
  const int64_t head_dim = x.size(-1) / heads;
  const std::vector<Tensor> split =
      qkv.forward(x).unflatten(-1, {3, heads, head_dim}).unbind(2);  // 3 x [B, L, H, head_dim]
  const Tensor q = split[0].transpose(1, 2), k = split[1].transpose(1, 2), v = split[2].transpose(1, 2);
  return proj.forward(attend(q, k, v, mask, 1.0 / std::sqrt(static_cast<double>(head_dim))));
}

}  // namespace tessera::nn
