// The shape of a decoder language model. What sets families apart is data here; nothing asks for a family's name later.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/fields.h"
#include "core/json.h"

namespace tessera::lm {

/// Llama 3.1's stretching of low frequencies ("rope_scaling": {"rope_type": "llama3"}).
struct RopeScaling {
  double factor = 8, low_frequency_factor = 1, high_frequency_factor = 4;
  int64_t original_length = 8192;
  bool operator==(const RopeScaling&) const = default;
};

struct LmConfig {
  std::string family = "qwen2";  // the model_type it is stored as
  int64_t vocabulary = 151936;   // rows of the embedding
  int64_t width = 896;           // C
  int64_t depth = 24;            // blocks
  int64_t heads = 14, kv_heads = 2, head_dim = 64;
  int64_t hidden = 4864;    // of the gated feed-forward layer
  int64_t context = 32768;  // longest sequence
  double norm_eps = 1e-6;
  double rope_theta = 1e6;
  std::optional<RopeScaling> rope_scaling;
  bool tied = true;               // the head is the embedding
  bool qkv_bias = true;           // Qwen2
  bool gelu = false;              // tanh GELU instead of SiLU (Gemma)
  bool norm_plus_one = false;     // norms multiply by 1 + weight (Gemma)
  bool scaled_embedding = false;  // embeddings times sqrt(width) (Gemma)
  bool norm_before = true,
       norm_after = false;  // around attention and feed-forward: Gemma 2 has both, OLMo 2 only after
  bool qk_norm = false;     // RMS norm over all heads' q and k (OLMo 2)
  std::optional<double> attention_cap, logit_cap;  // tanh soft caps (Gemma 2)
  std::optional<double> query_scale;               // softmax scale is query_scale^-1/2 instead of head_dim^-1/2
  std::optional<int64_t> window;  // sliding window of the even blocks (Gemma 2); all blocks when window_all
  bool window_all = false;
  bool operator==(const LmConfig&) const = default;
};

}  // namespace tessera::lm
