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
  if (family == "gemma3_text") {
    c.gelu = c.norm_plus_one = c.scaled_embedding = c.norm_after = c.head_norm = true;
    c.depth = 3;
    c.query_scale = 16;
    c.window = 4;
    c.full_every = 3;
    c.window_rope_theta = 100;
    c.rope_scaling = RopeScaling{.type = "linear", .factor = 4};
  }
  if (family == "olmo3") {
    c.norm_before = false;
    c.norm_after = c.qk_norm = true;
    c.tied = false;
    c.depth = 4;
    c.window = 5;
    c.full_every = 4;
    c.window_rope_theta = c.rope_theta;
    c.rope_scaling = RopeScaling{.type = "yarn", .factor = 4, .original_length = 16, .attention_factor = 1.2};
  }
  if (family == "phi3") {
    c.tied = false;
    c.fused = true;
    c.window = 20;
    c.rotary_dim = 4;
    c.rope_scaling = RopeScaling{
        .type = "longrope", .factor = 4, .original_length = 16, .short_factors = {1, 1.5}, .long_factors = {1.25, 4}};
  }
  if (family == "qwen3") {
    c.head_norm = true;
    c.rope_scaling = RopeScaling{.type = "yarn", .factor = 4, .original_length = 16};
  }
  if (family == "qwen3_5_text") {
    c.head_norm = c.norm_plus_one = c.attention_gate = true;
    c.depth = 3;
    c.rotary_dim = 4;
    c.linear =
        LinearAttention{.key_heads = 2, .value_heads = 4, .key_dim = 4, .value_dim = 8, .kernel = 3, .full_every = 2};
  }
  if (family == "mistral") {
    c.tied = false;
    c.window = 6;
    c.rope_scaling = RopeScaling{.type = "linear", .factor = 2};
  }
  if (family == "smollm3") {
    c.depth = 3;
    c.unrotated_every = 2;
    c.rope_scaling = RopeScaling{.type = "dynamic", .factor = 2};
  }
  if (family == "olmo2") {
    c.norm_before = false;
    c.norm_after = c.qk_norm = true;
    c.tied = false;
  }
  return c;
}

inline const std::vector<std::string>& tiny_families() {
  static const std::vector<std::string> all{"qwen2",   "llama",   "gemma",       "gemma2", "olmo2", "qwen3",
                                            "mistral", "smollm3", "gemma3_text", "olmo3",  "phi3",  "qwen3_5_text"};
  return all;
}

/// Those that passes on plain memory take.
inline std::vector<std::string> plain_families() {
  std::vector<std::string> all;
  for (const std::string& family : tiny_families()) {
    if (!tiny_config(family).linear) all.push_back(family);
  }
  return all;
}

}  // namespace tessera::lm
