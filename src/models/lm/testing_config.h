// Small shapes for tests, one of each family.
#pragma once

#include <string>
#include <vector>

#include "models/lm/architecture/config.h"

namespace tessera::lm {

/// Two blocks or more, grouped heads whose width is not width / heads, a context of 64.
inline LmConfig tiny_config(const std::string& family = "qwen2") {
  LmConfig c;
  c.family = family;
  c.vocabulary = 40;
  c.width = 24;
  c.depth = 2;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 8;
  c.hidden = 40;
  c.context = 64;
  c.rope_theta = 1e4;
  if (family != "qwen2") c.qkv_bias = false;
  if (family == "llama") {
    c.tied = false;
    c.rope_scaling =
        RopeScaling{.factor = 4, .low_frequency_factor = 1, .high_frequency_factor = 4, .original_length = 8};
  }
  if (family == "gemma" || family == "gemma2") c.gelu = c.norm_plus_one = c.scaled_embedding = true;
  if (family == "gemma2") {
    c.norm_after = true;
    c.depth = 3;
    c.attention_cap = 5;
    c.logit_cap = 3;
    c.query_scale = 16;
    c.window = 4;
    c.window_every = 2;
  }
  if (family == "olmo2") {
    c.norm_before = false;
    c.norm_after = c.qk_norm = true;
    c.tied = false;
  }
  return c;
}

inline const std::vector<std::string>& tiny_families() {
  static const std::vector<std::string> all{"qwen2", "llama", "gemma", "gemma2", "olmo2"};
  return all;
}

}  // namespace tessera::lm
