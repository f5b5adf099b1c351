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

/// How rotary frequencies are changed so that a model reaches beyond the context that it began with. The names are those of
/// transformers' rope_type; what a type does not use is left as it is here.
struct RopeScaling {
  std::string type = "llama3";                                 // linear, dynamic, yarn, longrope or llama3
  double factor = 8;                                           // the longer context over the original one
  double low_frequency_factor = 1, high_frequency_factor = 4;  // llama3
  int64_t original_length = 8192;
  double beta_fast = 32, beta_slow = 1;             // yarn: turns within the original context
  bool truncate = true;                             // yarn: the bounds of the ramp are whole numbers
  std::optional<double> attention_factor;           // of cosines and sines; absent: what the type says
  std::optional<double> mscale, mscale_all_dim;     // yarn: another way to say the same
  std::vector<double> short_factors, long_factors;  // longrope: what each frequency is divided by
  bool operator==(const RopeScaling&) const = default;
};
template <class V> void fields(V& v, RopeScaling& r) {
  v("type", r.type, "linear, dynamic, yarn, longrope or llama3");
  v("factor", r.factor, "the longer context over the original one");
  v("original_length", r.original_length, "context before stretching");
  v("low_frequency_factor", r.low_frequency_factor,
    "llama3: waves longer than original_length / this are stretched in full");
  v("high_frequency_factor", r.high_frequency_factor,
    "llama3: waves shorter than original_length / this are left alone");
  v("beta_fast", r.beta_fast, "yarn: frequencies that turn more often in the original context are left alone");
  v("beta_slow", r.beta_slow, "yarn: frequencies that turn less often are stretched in full");
  v("truncate", r.truncate, "yarn: the bounds of the ramp are whole numbers");
  v("attention_factor", r.attention_factor, "factor of cosines and sines");
  v("mscale", r.mscale, "yarn: attention_factor by its logarithm");
  v("mscale_all_dim", r.mscale_all_dim, "yarn: what mscale is divided by");
  v("short_factors", r.short_factors, "longrope: divisors of frequencies within the original context");
  v("long_factors", r.long_factors, "longrope: divisors of frequencies beyond it");
}

/// Blocks whose attention is a gated DeltaNet (arXiv 2412.06464): a state of fixed size in place of keys and values.
struct LinearAttention {
  int64_t key_heads = 16, value_heads = 32;
  int64_t key_dim = 128, value_dim = 128;  // of a head
  int64_t kernel = 4;                      // of the convolution before it
  int64_t full_every = 4;                  // every n-th block attends in full
  bool tiled = false;  // value heads go through all key heads in turn (GGUF files); else those of one follow each other
  bool operator==(const LinearAttention&) const = default;

  /// Of queries, keys and values together, which the convolution goes over.
  int64_t channels() const { return 2 * key_heads * key_dim + value_heads * value_dim; }
};
template <class V> void fields(V& v, LinearAttention& l) {
  v("key_heads", l.key_heads, "heads of queries and keys");
  v("value_heads", l.value_heads, "heads of values, a multiple of key_heads");
  v("key_dim", l.key_dim, "width of a head of queries and keys");
  v("value_dim", l.value_dim, "width of a head of values");
  v("kernel", l.kernel, "positions that the convolution sees");
  v("full_every", l.full_every, "every n-th block attends in full");
  v("tiled", l.tiled, "value heads go through all key heads in turn");
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
  std::optional<double> window_rope_theta;  // blocks with a window turn by this base, without scaling (Gemma 3, OLMo 3)
  std::optional<int64_t> rotary_dim;        // the first so many numbers of a head turn, the others stay (Phi-4-mini)
  int64_t unrotated_every = 0;              // every n-th block has no rotary positions (SmolLM3); 0: all have them
  bool tied = true;                         // the head is the embedding
  bool qkv_bias = true;                     // Qwen2
  bool out_bias = false, mlp_bias = false;  // some Llamas: attention_bias, mlp_bias
  bool gelu = false;                        // tanh GELU instead of SiLU (Gemma)
  bool norm_plus_one = false;               // norms multiply by 1 + weight (Gemma)
  bool scaled_embedding = false;            // embeddings times sqrt(width) (Gemma)
  bool norm_before = true,
       norm_after = false;  // around attention and feed-forward: Gemma 2 has both, OLMo 2 only after
  bool qk_norm = false;     // RMS norm over all heads' q and k (OLMo 2)
  bool head_norm = false;   // RMS norm of each head's q and k (Qwen3, Gemma 3)
  std::optional<double> attention_cap, logit_cap;  // tanh soft caps (Gemma 2)
  std::optional<double> query_scale;               // softmax scale is query_scale^-1/2 instead of head_dim^-1/2
  std::optional<int64_t> window;                   // sliding window: a position sees itself and window - 1 before it
  int64_t window_first = 0, window_every = 1;      // blocks that have it: first, first + every, ... (Gemma 2: 0 and 2)
  int64_t full_every = 0;                 // but every n-th block sees everything (Gemma 3: 6, OLMo 3: 4); 0: none
  bool fused = false;                     // files hold q, k and v in one tensor, gate and up in another (Phi-3)
  bool attention_gate = false;            // queries come with a gate of what attention gives (Qwen3.5)
  std::optional<LinearAttention> linear;  // most blocks have it in place of attention (Qwen3.5)
  bool operator==(const LmConfig&) const = default;

  /// Whether block `layer` sees a sliding window alone.
  bool windowed(size_t layer) const {
    const int64_t index = static_cast<int64_t>(layer), since = index - window_first;
    const bool full = full_every > 0 && (index + 1) % full_every == 0;
    return window && since >= 0 && since % window_every == 0 && !full;
  }
  /// Whether block `layer` has keys and values; the others are gated DeltaNets.
  bool attends(size_t layer) const { return !linear || (static_cast<int64_t>(layer) + 1) % linear->full_every == 0; }
  /// Whether block `layer` turns queries and keys by their positions.
  bool rotated(size_t layer) const {
    return unrotated_every == 0 || (static_cast<int64_t>(layer) + 1) % unrotated_every != 0;
  }
  /// How many numbers of a head turn.
  int64_t turned() const { return rotary_dim.value_or(head_dim); }
  double softmax_scale() const;
};
template <class V> void fields(V& v, LmConfig& c) {
  v("family", c.family, "the model_type it is stored as: qwen2, llama, ...");
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
  v("rope_scaling", c.rope_scaling, "how rotary frequencies are changed for longer contexts");
  v("window_rope_theta", c.window_rope_theta, "rotary base of blocks with a window, without scaling");
  v("rotary_dim", c.rotary_dim, "numbers of a head that turn, head_dim when absent");
  v("unrotated_every", c.unrotated_every, "every n-th block has no rotary positions, 0: none");
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
  v("head_norm", c.head_norm, "norm of each head's queries and keys");
  v("attention_cap", c.attention_cap, "tanh cap of attention scores");
  v("logit_cap", c.logit_cap, "tanh cap of logits");
  v("query_scale", c.query_scale, "softmax scale is this^-1/2 instead of head_dim^-1/2");
  v("window", c.window, "sliding window, tokens");
  v("window_first", c.window_first, "first block with a window");
  v("window_every", c.window_every, "every n-th block from the first on has a window");
  v("full_every", c.full_every, "every n-th block has none all the same, 0: no such");
  v("fused", c.fused, "files hold q, k and v in one tensor, gate and up in another");
  v("attention_gate", c.attention_gate, "queries come with a gate of what attention gives");
  v("linear", c.linear, "most blocks are gated DeltaNets");
}

/// Throws UserError for sizes that make no model.
void validate(const LmConfig& config);

/// The model_types that can be read and written, in alphabetical order.
std::vector<std::string> supported_families();

/// Reads a Hugging Face config.json with the keys of old and new transformers, or the language model's part of a larger model's
/// (architecture/language_part.h). `source` names the file. Throws
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
