// What each family's config.json says beside the sizes that all have. Defaults are those of transformers.
#include "models/lm/architecture/families.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace tessera::lm {

namespace {

/// A key's value; what it is when absent, and nothing when it is null.
template <class T> std::optional<T> or_none(const Keys& keys, const char* key, T otherwise) {
  return keys.names(key) ? keys.get<T>(key) : std::optional<T>(otherwise);
}

void read_activation(const Keys& keys, LmConfig& c) {
  const std::string name =
      keys.get_or<std::string>("hidden_activation", keys.get_or<std::string>("hidden_act", "silu"));
  // Gemma's first releases say "gelu" and mean the tanh form
  if (name == "gelu_pytorch_tanh" || (name == "gelu" && c.norm_plus_one)) c.gelu = true;
  else if (name != "silu")
    detail::throw_wrong_type(keys.source(), "hidden_act", name, "one of: silu, gelu_pytorch_tanh");
}

void refuse_unsupported(const Keys& keys) {
  for (const char* key : {"num_experts", "num_local_experts", "n_routed_experts"}) {
    if (keys.get_or<int64_t>(key, 0) > 0)
      throw UserError("[lm] {}: '{}' makes this a mixture of experts, which is not supported; want a dense model",
                      keys.source(), key);
  }
  if (keys.get_or<bool>("use_bidirectional_attention", false))
    throw UserError("[lm] {}: use_bidirectional_attention is not supported, want causal attention", keys.source());
}

/// Which blocks slide, as first block and spacing, or as all but every n-th; nothing else can be held.
void set_windows(const Keys& keys, const std::vector<bool>& slides, LmConfig& c) {
  const auto holds = [&] {
    for (size_t i = 0; i < slides.size(); ++i) {
      if (c.windowed(i) != slides[i]) return false;
    }
    return true;
  };
  const auto index_of = [&](bool sliding, int64_t from) {
    return std::find(slides.begin() + from, slides.end(), sliding) - slides.begin();
  };
  const int64_t first = index_of(true, 0);
  if (first == c.depth) return c.window.reset();
  const int64_t second = index_of(true, first + 1);
  c.window_first = first;
  c.window_every = second < c.depth ? second - first : std::max(c.window_every, c.depth - first);
  c.full_every = 0;
  if (holds()) return;
  c.window_first = 0;
  c.window_every = 1;
  c.full_every = index_of(false, 0) + 1;
  if (!holds())
    throw UserError("[lm] {}: layer_types slides at no even spacing, which is not supported", keys.source());
}

/// "layer_types" of newer files.
void read_layer_types(const Keys& keys, LmConfig& c) {
  const auto types = keys.get<std::vector<std::string>>("layer_types");
  if (!types) return;
  std::vector<bool> slides;
  for (size_t i = 0; i < types->size(); ++i) {
    slides.push_back((*types)[i] == "sliding_attention");
    if (!slides.back() && (*types)[i] != "full_attention")
      detail::throw_wrong_type(keys.source(), fmt::format("layer_types[{}]", i), (*types)[i],
                               "one of: full_attention, sliding_attention");
  }
  if (static_cast<int64_t>(types->size()) != c.depth)
    throw UserError("[lm] {}: layer_types has {} entries, want {}, one a layer", keys.source(), types->size(), c.depth);
  if (std::ranges::find(slides, true) != slides.end()) c.window = keys.need<int64_t>("sliding_window");
  set_windows(keys, slides, c);
}
void store_windows(const LmConfig& c, Json& tree) {
  tree["sliding_window"] = to_json(c.window);
  for (size_t i = 0; i < static_cast<size_t>(c.depth); ++i)
    tree["layer_types"].push_back(c.windowed(i) ? "sliding_attention" : "full_attention");
}

/// All blocks but every n-th have the window, unless layer_types says otherwise.
void read_windows_but_every(const Keys& keys, int64_t every, LmConfig& c) {
  c.window = or_none<int64_t>(keys, "sliding_window", 4096);
  c.full_every = every;
  read_layer_types(keys, c);
}

void read_common(const Keys& keys, LmConfig& c, const RopeDefaults& rope = {}) {
  c.vocabulary = keys.need<int64_t>("vocab_size");
  c.width = keys.need<int64_t>("hidden_size");
  c.depth = keys.need<int64_t>("num_hidden_layers");
  c.heads = keys.need<int64_t>("num_attention_heads");
  c.hidden = keys.need<int64_t>("intermediate_size");
  c.kv_heads = keys.get_or<int64_t>("num_key_value_heads", c.heads);
  if (c.heads < 1) throw UserError("[lm] {}: num_attention_heads is {}, want 1 or more", keys.source(), c.heads);
  const std::optional<int64_t> head_dim = keys.get<int64_t>("head_dim");
  if (!head_dim && c.head_dim == 0 && c.width % c.heads != 0)
    throw UserError("[lm] {}: hidden_size {} over {} heads, want a multiple or a head_dim", keys.source(), c.width,
                    c.heads);
  if (head_dim || c.head_dim == 0) c.head_dim = head_dim.value_or(c.width / c.heads);
  c.context = keys.get_or<int64_t>("max_position_embeddings", c.context);
  c.norm_eps = keys.get_or<double>("rms_norm_eps", c.norm_eps);
  c.tied = keys.get_or<bool>("tie_word_embeddings", c.tied);
  read_rope(keys, rope, c);
  read_activation(keys, c);
  refuse_unsupported(keys);
}

void read_attention_bias(const Keys& keys, LmConfig& c) {
  c.qkv_bias = c.out_bias = keys.get_or<bool>("attention_bias", false);
}

void read_qwen_windows(const Keys& keys, LmConfig& c) {
  if (keys.get_or<bool>("use_sliding_window", false)) {
    c.window = keys.get<int64_t>("sliding_window");
    c.window_first = keys.get_or<int64_t>("max_window_layers", 28);
  }
  read_layer_types(keys, c);
}
void fill_qwen2(const Keys& keys, LmConfig& c) {
  c.context = 32768;
  c.qkv_bias = true;
  read_common(keys, c);
  read_qwen_windows(keys, c);
}
void store_qwen2(const LmConfig& c, Json& tree) {
  tree["use_sliding_window"] = c.window.has_value();
  tree["sliding_window"] = to_json(c.window);
  tree["max_window_layers"] = c.window ? c.window_first : c.depth;
}

void fill_qwen3(const Keys& keys, LmConfig& c) {
  c.context = 32768;
  c.head_dim = 128;
  c.head_norm = true;
  read_common(keys, c);
  read_attention_bias(keys, c);
  read_qwen_windows(keys, c);
}
void store_qwen3(const LmConfig& c, Json& tree) {
  tree["attention_bias"] = c.qkv_bias;
  store_qwen2(c, tree);
}

void fill_llama(const Keys& keys, LmConfig& c) {
  read_common(keys, c);
  read_attention_bias(keys, c);
  c.mlp_bias = keys.get_or<bool>("mlp_bias", false);
}
void store_llama(const LmConfig& c, Json& tree) {
  tree["attention_bias"] = c.qkv_bias;
  tree["mlp_bias"] = c.mlp_bias;
}

void fill_mistral(const Keys& keys, LmConfig& c) {
  c.context = 131072;
  read_common(keys, c);
  c.window = or_none<int64_t>(keys, "sliding_window", 4096);
}
void store_mistral(const LmConfig& c, Json& tree) { tree["sliding_window"] = to_json(c.window); }

/// Which blocks turn by their positions: all but every n-th.
void read_unrotated(const Keys& keys, LmConfig& c) {
  c.unrotated_every = keys.get_or<int64_t>("no_rope_layer_interval", 4);
  if (const auto rotated = keys.get<std::vector<int64_t>>("no_rope_layers")) {  // the name says the opposite
    if (std::ssize(*rotated) < c.depth)
      throw UserError("[lm] {}: no_rope_layers has {} entries, want {}, one a layer", keys.source(), rotated->size(),
                      c.depth);
    c.unrotated_every = std::ranges::find(*rotated, 0) - rotated->begin() + 1;
    for (int64_t i = 0; i < c.depth; ++i) {
      if (c.rotated(static_cast<size_t>(i)) != ((*rotated)[static_cast<size_t>(i)] != 0))
        throw UserError("[lm] {}: no_rope_layers names blocks at no even spacing, which is not supported",
                        keys.source());
    }
  }
  if (c.unrotated_every > c.depth) c.unrotated_every = 0;
}
void fill_smollm3(const Keys& keys, LmConfig& c) {
  c.context = 32768;
  c.tied = true;
  read_common(keys, c, {.theta = 2e6});
  read_attention_bias(keys, c);
  c.mlp_bias = keys.get_or<bool>("mlp_bias", false);
  read_unrotated(keys, c);
  if (keys.get_or<bool>("use_sliding_window", false) && c.unrotated_every > 0) {
    c.window = keys.get<int64_t>("sliding_window");
    c.window_first = c.unrotated_every - 1;
    c.window_every = c.unrotated_every;
  }
  read_layer_types(keys, c);
}
void store_smollm3(const LmConfig& c, Json& tree) {
  store_llama(c, tree);
  store_windows(c, tree);
  tree["use_sliding_window"] = c.window.has_value();
  for (size_t i = 0; i < static_cast<size_t>(c.depth); ++i) tree["no_rope_layers"].push_back(c.rotated(i) ? 1 : 0);
  if (c.unrotated_every > 0) tree["no_rope_layer_interval"] = c.unrotated_every;
}

void fill_gemma(const Keys& keys, LmConfig& c) {
  c.context = 8192;
  c.head_dim = 256;
  c.tied = c.gelu = c.norm_plus_one = c.scaled_embedding = true;
  read_common(keys, c);
  read_attention_bias(keys, c);
}
void fill_gemma2(const Keys& keys, LmConfig& c) {
  fill_gemma(keys, c);
  c.norm_after = true;
  c.query_scale = keys.get_or<double>("query_pre_attn_scalar", 256);
  c.attention_cap = or_none<double>(keys, "attn_logit_softcapping", 50);
  c.logit_cap = or_none<double>(keys, "final_logit_softcapping", 30);
  c.window = or_none<int64_t>(keys, "sliding_window", 4096);
  c.window_every = 2;
  read_layer_types(keys, c);
}
void store_gemma(const LmConfig& c, Json& tree) { tree["attention_bias"] = c.qkv_bias; }
void store_query_scale(const LmConfig& c, Json& tree) {
  tree["query_pre_attn_scalar"] = to_json(c.query_scale);
  if (c.query_scale && *c.query_scale == std::floor(*c.query_scale) && std::abs(*c.query_scale) < 0x1p53)
    tree["query_pre_attn_scalar"] = static_cast<int64_t>(*c.query_scale);  // transformers wants a whole number
}
void store_gemma2(const LmConfig& c, Json& tree) {
  store_gemma(c, tree);
  store_query_scale(c, tree);
  tree["attn_logit_softcapping"] = to_json(c.attention_cap);
  tree["final_logit_softcapping"] = to_json(c.logit_cap);
  store_windows(c, tree);
}

void fill_olmo2(const Keys& keys, LmConfig& c) {
  c.norm_eps = 1e-5;
  c.norm_before = false;
  c.norm_after = c.qk_norm = true;
  read_common(keys, c);
  read_attention_bias(keys, c);
}
void store_olmo2(const LmConfig& c, Json& tree) { tree["attention_bias"] = c.qkv_bias; }

void fill_gemma3(const Keys& keys, LmConfig& c) {
  c.context = 131072;
  c.head_dim = 256;
  c.tied = c.gelu = c.norm_plus_one = c.scaled_embedding = c.norm_after = c.head_norm = true;
  read_common(keys, c, {.theta = 1e6, .by_window = true, .window_theta = 1e4});
  read_attention_bias(keys, c);
  c.query_scale = keys.get_or<double>("query_pre_attn_scalar", 256);
  c.attention_cap = keys.get<double>("attn_logit_softcapping");
  c.logit_cap = keys.get<double>("final_logit_softcapping");
  read_windows_but_every(keys, keys.get_or<int64_t>("sliding_window_pattern", 6), c);
}
void store_gemma3(const LmConfig& c, Json& tree) {
  store_gemma2(c, tree);
  if (c.window_rope_theta) tree["rope_local_base_freq"] = *c.window_rope_theta;
  store_rope_by_window(c, tree);
}

void fill_olmo3(const Keys& keys, LmConfig& c) {
  c.norm_eps = 1e-5;
  c.norm_before = false;
  c.norm_after = c.qk_norm = true;
  read_common(keys, c, {.theta = 5e5, .by_window = true});
  read_attention_bias(keys, c);
  read_windows_but_every(keys, 4, c);
}
void store_olmo3(const LmConfig& c, Json& tree) {
  store_olmo2(c, tree);
  store_windows(c, tree);
  store_rope_by_window(c, tree);
}

/// Every n-th block attends in full, the others are gated DeltaNets.
int64_t read_full_every(const Keys& keys, const LmConfig& c) {
  const auto interval = keys.get_or<int64_t>("full_attention_interval", 4);
  const auto types = keys.get<std::vector<std::string>>("layer_types");
  if (!types) return interval;
  if (std::ssize(*types) != c.depth)
    throw UserError("[lm] {}: layer_types has {} entries, want {}, one a layer", keys.source(), types->size(), c.depth);
  for (size_t i = 0; i < types->size(); ++i) {
    if ((*types)[i] != "linear_attention" && (*types)[i] != "full_attention")
      detail::throw_wrong_type(keys.source(), fmt::format("layer_types[{}]", i), (*types)[i],
                               "one of: full_attention, linear_attention");
  }
  const auto holds = [&](int64_t every) {
    for (int64_t i = 0; i < c.depth; ++i) {
      if (((i + 1) % every == 0) != ((*types)[static_cast<size_t>(i)] == "full_attention")) return false;
    }
    return true;
  };
  if (interval > 0 && holds(interval)) return interval;
  const int64_t first = std::ranges::find(*types, "full_attention") - types->begin() + 1;
  if (!holds(first))
    throw UserError("[lm] {}: layer_types attends in full at no even spacing, which is not supported", keys.source());
  return first;
}
void fill_qwen3_5(const Keys& keys, LmConfig& c) {
  c.context = 32768;
  c.head_dim = 256;
  c.head_norm = c.norm_plus_one = c.attention_gate = true;
  read_common(keys, c, {.partial = true, .share = 0.25});
  read_attention_bias(keys, c);
  c.linear = LinearAttention{.key_heads = keys.get_or<int64_t>("linear_num_key_heads", 16),
                             .value_heads = keys.get_or<int64_t>("linear_num_value_heads", 32),
                             .key_dim = keys.get_or<int64_t>("linear_key_head_dim", 128),
                             .value_dim = keys.get_or<int64_t>("linear_value_head_dim", 128),
                             .kernel = keys.get_or<int64_t>("linear_conv_kernel_dim", 4),
                             .full_every = read_full_every(keys, c),
                             .tiled = keys.get_or<bool>("linear_value_heads_tiled", false)};  // of our own, from GGUF
}
void store_qwen3_5(const LmConfig& c, Json& tree) {
  tree["attention_bias"] = c.qkv_bias;
  if (!c.linear) return;  // a shape that this family cannot hold
  tree["linear_num_key_heads"] = c.linear->key_heads;
  tree["linear_num_value_heads"] = c.linear->value_heads;
  tree["linear_key_head_dim"] = c.linear->key_dim;
  tree["linear_value_head_dim"] = c.linear->value_dim;
  tree["linear_conv_kernel_dim"] = c.linear->kernel;
  tree["full_attention_interval"] = c.linear->full_every;
  for (size_t i = 0; i < static_cast<size_t>(c.depth); ++i)
    tree["layer_types"].push_back(c.attends(i) ? "full_attention" : "linear_attention");
}

void fill_phi3(const Keys& keys, LmConfig& c) {
  c.context = 4096;
  c.norm_eps = 1e-5;
  c.fused = true;
  read_common(keys, c, {.original = 4096, .partial = true, .any_scaling_is_longrope = true});
  c.window = keys.get<int64_t>("sliding_window");
}
void store_phi3(const LmConfig& c, Json& tree) { store_mistral(c, tree); }

constexpr std::array all_families{
    Family{"gemma", "GemmaForCausalLM", "Gemma", fill_gemma, store_gemma},
    Family{"gemma2", "Gemma2ForCausalLM", "Gemma 2", fill_gemma2, store_gemma2},
    Family{"gemma3_text", "Gemma3ForCausalLM", "Gemma 3", fill_gemma3, store_gemma3},
    Family{"llama", "LlamaForCausalLM", "Llama 3.x", fill_llama, store_llama},
    Family{"mistral", "MistralForCausalLM", "Mistral", fill_mistral, store_mistral},
    Family{"olmo2", "Olmo2ForCausalLM", "OLMo 2", fill_olmo2, store_olmo2},
    Family{"olmo3", "Olmo3ForCausalLM", "OLMo 3", fill_olmo3, store_olmo3},
    Family{"phi3", "Phi3ForCausalLM", "Phi-3, Phi-4-mini", fill_phi3, store_phi3},
    Family{"qwen2", "Qwen2ForCausalLM", "Qwen2, Qwen2.5", fill_qwen2, store_qwen2},
    Family{"qwen3", "Qwen3ForCausalLM", "Qwen3", fill_qwen3, store_qwen3},
    Family{"qwen3_5_text", "Qwen3_5ForCausalLM", "Qwen3.5 (dense, text)", fill_qwen3_5, store_qwen3_5},
    Family{"smollm3", "SmolLM3ForCausalLM", "SmolLM3", fill_smollm3, store_smollm3},
};

}  // namespace

std::span<const Family> families() { return all_families; }

}  // namespace tessera::lm
