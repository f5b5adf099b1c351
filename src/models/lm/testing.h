// Small language models for tests: one of each family's shape.
#pragma once

#include "models/lm/module.h"
#include "tensor/build.h"

namespace tessera::lm {

/// Two blocks or more, grouped heads whose width is not width / heads, a context of 64.
inline LmConfig tiny_config(const std::string& family = "qwen2") {
  LmConfig c;
  c.family = family, c.vocabulary = 40, c.width = 24, c.depth = 2, c.heads = 4, c.kv_heads = 2, c.head_dim = 8;
  c.hidden = 40, c.context = 64, c.rope_theta = 1e4;
  if (family != "qwen2") c.qkv_bias = false;
  if (family == "llama") {
    c.tied = false;
    c.rope_scaling =
        RopeScaling{.factor = 4, .low_frequency_factor = 1, .high_frequency_factor = 4, .original_length = 8};
  }
  if (family == "gemma" || family == "gemma2") c.gelu = c.norm_plus_one = c.scaled_embedding = true;
  if (family == "gemma2") {
    c.norm_after = true, c.depth = 3;
    c.attention_cap = 5, c.logit_cap = 3, c.query_scale = 16, c.window = 4, c.window_every = 2;
  }
  if (family == "olmo2") c.norm_before = false, c.norm_after = c.qk_norm = true, c.tied = false;
  return c;
}

inline const std::vector<std::string>& tiny_families() {
  static const std::vector<std::string> all{"qwen2", "llama", "gemma", "gemma2", "olmo2"};
  return all;
}

/// A model whose every part matters: biases and norms away from where they start, weights large enough to be heard.
inline DecoderLm tiny_lm(const LmConfig& config, uint64_t seed = 7) {
  const at::NoGradGuard no_grad;
  DecoderLm model(config);
  for_each_tensor(model, [&](const std::string& name, Tensor& t) {
    const Tensor start = t.dim() < 2 ? t.clone() : Tensor();
    fill_truncated_normal(t, 0.3, Rng(seed).split(hash_text(name)));
    if (present(start)) t.add_(start);
  });
  return model;
}

/// Token ids [B, L] that depend on the seed alone.
inline Tensor tiny_ids(int64_t batch, int64_t length, int64_t vocabulary = 40, uint64_t seed = 3) {
  Tensor ids = at::empty({batch, length}, at::kLong);
  Rng rng(seed);
  for (int64_t i = 0; i < ids.numel(); ++i)
    ids.mutable_data_ptr<int64_t>()[i] = static_cast<int64_t>(rng.below(static_cast<uint64_t>(vocabulary)));
  return ids;
}

/// Logits [B, L, V] of whole sequences.
inline Tensor full_logits(const DecoderLm& model, const Tensor& ids) {
  return model.logits(model.forward(model.embed(ids), places_of(model.config, 0, ids.size(1), {}, at::kCPU)));
}

}  // namespace tessera::lm
