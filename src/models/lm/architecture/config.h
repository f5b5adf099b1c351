// The shape of a decoder language model. What sets families apart is data here; no code uses a family's name later.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
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
template <class V> void fields(V& v, RopeScaling& r) {
  v("factor", r.factor, "how far the lowest frequencies are stretched");
  v("low_frequency_factor", r.low_frequency_factor, "waves longer than original_length / this are stretched in full");
  v("high_frequency_factor", r.high_frequency_factor, "waves shorter than original_length / this are left alone");
  v("original_length", r.original_length, "context before stretching");
}

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
  bool tied = true;                         // the head is the embedding
  bool qkv_bias = true;                     // Qwen2
  bool out_bias = false, mlp_bias = false;  // some Llamas: attention_bias, mlp_bias
  bool gelu = false;                        // tanh GELU instead of SiLU (Gemma)
  bool norm_plus_one = false;               // norms multiply by 1 + weight (Gemma)
  bool scaled_embedding = false;            // embeddings times sqrt(width) (Gemma)
  bool norm_before = true,
       norm_after = false;  // around attention and feed-forward: Gemma 2 has both, OLMo 2 only after
  bool qk_norm = false;     // RMS norm over all heads' q and k (OLMo 2)
  std::optional<double> attention_cap, logit_cap;  // tanh soft caps (Gemma 2)
  std::optional<double> query_scale;               // softmax scale is query_scale^-1/2 instead of head_dim^-1/2
  std::optional<int64_t> window;                   // sliding window: a position sees itself and window - 1 before it
  int64_t window_first = 0, window_every = 1;      // blocks that have it: first, first + every, ... (Gemma 2: 0 and 2)
  bool operator==(const LmConfig&) const = default;

  /// Whether block `layer` sees a sliding window alone.
  bool windowed(size_t layer) const {
    const int64_t since = static_cast<int64_t>(layer) - window_first;
    return window && since >= 0 && since % window_every == 0;
  }
  double softmax_scale() const;
};
template <class V> void fields(V& v, LmConfig& c) {
  v("family", c.family, "the model_type it is stored as: qwen2, llama, gemma, gemma2 or olmo2");
  v("vocabulary", c.vocabulary, "rows of the embedding");
  v("width", c.width, "model width");
  v("depth", c.depth, "blocks");
  v("heads", c.heads, "attention heads");
  v("kv_heads", c.kv_heads, "heads of keys and values, a divisor of heads");
  v("head_dim", c.head_dim, "width of a head");
  v("hidden", c.hidden, "width inside the feed-forward layer");
  v("context", c.context, "longest sequence, tokens");
  v("norm_eps", c.norm_eps, "added to the mean square in norms");
  v("rope_theta", c.rope_theta, "rotary base");
  v("rope_scaling", c.rope_scaling, "Llama 3.1's stretching of low frequencies");
  v("tied", c.tied, "the head is the embedding");
  v("qkv_bias", c.qkv_bias, "biases on queries, keys and values");
  v("out_bias", c.out_bias, "bias on the attention's output");
  v("mlp_bias", c.mlp_bias, "biases in the feed-forward");
  v("gelu", c.gelu, "tanh GELU instead of SiLU");
  v("norm_plus_one", c.norm_plus_one, "norms multiply by 1 + weight");
  v("scaled_embedding", c.scaled_embedding, "embeddings times sqrt(width)");
  v("norm_before", c.norm_before, "norms before attention and feed-forward");
  v("norm_after", c.norm_after, "norms after attention and feed-forward");
  v("qk_norm", c.qk_norm, "norm of all queries and of all keys");
  v("attention_cap", c.attention_cap, "tanh cap of attention scores");
  v("logit_cap", c.logit_cap, "tanh cap of logits");
  v("query_scale", c.query_scale, "softmax scale is this^-1/2 instead of head_dim^-1/2");
  v("window", c.window, "sliding window, tokens");
  v("window_first", c.window_first, "first block with a window");
  v("window_every", c.window_every, "every n-th block from the first on has a window");
}

/// Throws UserError for sizes that make no model.
void validate(const LmConfig& config);

/// The model_types that can be read: gemma, gemma2, llama, olmo2, qwen2.
std::vector<std::string> supported_families();

/// Reads a Hugging Face config.json with the keys of old and new transformers. `source` names the file. Throws
/// UserError for an unsupported family, activation, rotary type or mixture of experts (each lists what is supported),
/// and for missing keys and values of the wrong type.
LmConfig config_from_json(const Json& tree, std::string_view source);

/// The config.json that transformers and config_from_json read as this config; without dtype and token ids. Throws
/// UserError when the family cannot express it.
Json config_json(const LmConfig& config);

/// A released model's shape and how many parameters it has, tied embeddings counted once.
struct Preset {
  std::string name;
  LmConfig config;
  int64_t parameters;
};

const std::vector<Preset>& presets();
/// Throws UserError that names the nearest preset.
const LmConfig& preset(std::string_view name);

}  // namespace tessera::lm
