// Reading is by key, not strict: released files carry keys that say nothing about the model. What would change the
// numbers and is not supported is refused.
#include "models/lm/architecture/config.h"

#include <array>
#include <cmath>
#include <functional>

#include <fmt/ranges.h>

#include "core/error.h"

namespace tessera::lm {

namespace {

/// Typed look at the keys of one table; null counts as absent.
class Keys {
 public:
  Keys(const Json& tree, std::string_view source) : tree_(&tree), source_(source) {}

  const Json* find(std::string_view key) const {
    const auto found = tree_->find(std::string(key));
    return found == tree_->end() || found->is_null() ? nullptr : &*found;
  }
  bool names(std::string_view key) const { return tree_->contains(std::string(key)); }
  template <class T> std::optional<T> get(std::string_view key) const {
    std::optional<T> value;
    if (const Json* found = find(key)) from_json(*found, value, source_, std::string(key));
    return value;
  }
  template <class T> T need(std::string_view key) const {
    if (const auto value = get<T>(key)) return *value;
    throw UserError("[lm] {}: '{}' is missing", source_, key);
  }
  template <class T> T get_or(std::string_view key, T otherwise) const { return get<T>(key).value_or(otherwise); }
  /// The rotary settings: a table of their own in newer files.
  std::optional<Keys> table(std::string_view key) const {
    const Json* found = find(key);
    if (found == nullptr) return std::nullopt;
    if (!found->is_object()) throw UserError("[lm] {}: '{}' is no table", source_, key);
    return Keys(*found, source_);
  }
  const std::string& source() const { return source_; }

 private:
  const Json* tree_;
  std::string source_;
};

/// A family's defaults and its own keys.
struct Family {
  const char* model_type;
  const char* architecture;
  const char* releases;
  void (*fill)(const Keys&, LmConfig&);
  void (*store)(const LmConfig&, Json&);
};

void read_rope(const Keys& keys, LmConfig& c) {
  const std::optional<Keys> newer = keys.table("rope_parameters"), older = keys.table("rope_scaling");
  c.rope_theta = keys.get_or<double>("rope_theta", 1e4);
  if (newer) c.rope_theta = newer->get_or<double>("rope_theta", c.rope_theta);
  if (newer && newer->find("full_attention"))
    throw UserError("[lm] {}: rotary positions that differ between layers are not supported", keys.source());
  for (const std::optional<Keys>& place : {std::optional(keys), newer, older}) {
    if (place && place->get_or<double>("partial_rotary_factor", 1) != 1)
      throw UserError("[lm] {}: partial_rotary_factor is {}, want 1", keys.source(),
                      place->get<double>("partial_rotary_factor").value());
  }
  const std::optional<Keys>& settings = newer ? newer : older;
  if (!settings) return;
  const std::string type = settings->get_or<std::string>("rope_type", settings->get_or<std::string>("type", "default"));
  if (type == "default") return;
  if (type != "llama3") detail::throw_wrong_type(keys.source(), "rope_type", type, "one of: default, llama3");
  c.rope_scaling = {.factor = settings->need<double>("factor"),
                    .low_frequency_factor = settings->need<double>("low_freq_factor"),
                    .high_frequency_factor = settings->need<double>("high_freq_factor"),
                    .original_length = settings->need<int64_t>("original_max_position_embeddings")};
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

/// "layer_types" of newer files: every window_every-th block from window_first on slides, or the file is refused.
void read_layer_types(const Keys& keys, LmConfig& c) {
  const auto types = keys.get<std::vector<std::string>>("layer_types");
  if (!types) return;
  std::vector<int64_t> sliding;
  for (size_t i = 0; i < types->size(); ++i) {
    if ((*types)[i] == "sliding_attention") sliding.push_back(static_cast<int64_t>(i));
    else if ((*types)[i] != "full_attention")
      detail::throw_wrong_type(keys.source(), fmt::format("layer_types[{}]", i), (*types)[i],
                               "one of: full_attention, sliding_attention");
  }
  if (static_cast<int64_t>(types->size()) != c.depth)
    throw UserError("[lm] {}: layer_types has {} entries, want {}, one a layer", keys.source(), types->size(), c.depth);
  if (sliding.empty()) return c.window.reset();
  c.window = keys.need<int64_t>("sliding_window");
  c.window_first = sliding[0];
  c.window_every = sliding.size() > 1 ? sliding[1] - sliding[0] : std::max(c.window_every, c.depth - sliding[0]);
  for (int64_t i = 0; i < c.depth; ++i) {
    if (c.windowed(static_cast<size_t>(i)) != ((*types)[static_cast<size_t>(i)] == "sliding_attention"))
      throw UserError("[lm] {}: layer_types slides at no even spacing, which is not supported", keys.source());
  }
}

void read_common(const Keys& keys, LmConfig& c) {
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
  read_rope(keys, c);
  read_activation(keys, c);
  refuse_unsupported(keys);
}

void read_attention_bias(const Keys& keys, LmConfig& c) {
  c.qkv_bias = c.out_bias = keys.get_or<bool>("attention_bias", false);
}

/// Nothing of Qwen2 yet: the shape that read_common fills.
LmConfig plain_shape(std::string_view family) {
  LmConfig c;
  c.family = family;
  c.head_dim = 0;
  c.context = 2048;
  c.tied = false;
  c.qkv_bias = false;
  return c;
}

void fill_qwen2(const Keys& keys, LmConfig& c) {
  c.context = 32768;
  c.qkv_bias = true;
  read_common(keys, c);
  if (keys.get_or<bool>("use_sliding_window", false)) {
    c.window = keys.get<int64_t>("sliding_window");
    c.window_first = keys.get_or<int64_t>("max_window_layers", 28);
  }
  read_layer_types(keys, c);
}
void store_qwen2(const LmConfig& c, Json& tree) {
  tree["use_sliding_window"] = c.window.has_value();
  tree["sliding_window"] = to_json(c.window);
  tree["max_window_layers"] = c.window ? c.window_first : c.depth;
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

void fill_gemma(const Keys& keys, LmConfig& c) {
  c.context = 8192;
  c.head_dim = 256;
  c.tied = c.gelu = c.norm_plus_one = c.scaled_embedding = true;
  read_common(keys, c);
  read_attention_bias(keys, c);
}
void fill_gemma2(const Keys& keys, LmConfig& c) {
  fill_gemma(keys, c);
  const auto or_none = [&](const char* key, double otherwise) {
    return keys.names(key) ? keys.get<double>(key) : std::optional(otherwise);
  };
  c.norm_after = true;
  c.query_scale = keys.get_or<double>("query_pre_attn_scalar", 256);
  c.attention_cap = or_none("attn_logit_softcapping", 50);
  c.logit_cap = or_none("final_logit_softcapping", 30);
  c.window = keys.names("sliding_window") ? keys.get<int64_t>("sliding_window") : std::optional<int64_t>(4096);
  c.window_every = 2;
  read_layer_types(keys, c);
}
void store_gemma(const LmConfig& c, Json& tree) { tree["attention_bias"] = c.qkv_bias; }
void store_gemma2(const LmConfig& c, Json& tree) {
  store_gemma(c, tree);
  tree["query_pre_attn_scalar"] = to_json(c.query_scale);
  if (c.query_scale && *c.query_scale == std::floor(*c.query_scale) && std::abs(*c.query_scale) < 0x1p53)
    tree["query_pre_attn_scalar"] = static_cast<int64_t>(*c.query_scale);  // transformers wants a whole number
  tree["attn_logit_softcapping"] = to_json(c.attention_cap);
  tree["final_logit_softcapping"] = to_json(c.logit_cap);
  tree["sliding_window"] = to_json(c.window);
  for (size_t i = 0; i < static_cast<size_t>(c.depth); ++i)
    tree["layer_types"].push_back(c.windowed(i) ? "sliding_attention" : "full_attention");
}

void fill_olmo2(const Keys& keys, LmConfig& c) {
  c.norm_eps = 1e-5;
  c.norm_before = false;
  c.norm_after = c.qk_norm = true;
  read_common(keys, c);
  read_attention_bias(keys, c);
}
void store_olmo2(const LmConfig& c, Json& tree) { tree["attention_bias"] = c.qkv_bias; }

constexpr std::array families{
    Family{"gemma", "GemmaForCausalLM", "Gemma", fill_gemma, store_gemma},
    Family{"gemma2", "Gemma2ForCausalLM", "Gemma 2", fill_gemma2, store_gemma2},
    Family{"llama", "LlamaForCausalLM", "Llama 3.x", fill_llama, store_llama},
    Family{"olmo2", "Olmo2ForCausalLM", "OLMo 2", fill_olmo2, store_olmo2},
    Family{"qwen2", "Qwen2ForCausalLM", "Qwen2, Qwen2.5", fill_qwen2, store_qwen2},
};

const Family& family_of(std::string_view model_type, std::string_view source) {
  std::vector<std::string> known;
  for (const Family& family : families) {
    if (family.model_type == model_type) return family;
    known.push_back(fmt::format("{} ({})", family.model_type, family.releases));
  }
  detail::throw_wrong_type(source, "model_type", Json(model_type), fmt::format("one of: {}", fmt::join(known, ", ")));
}

}  // namespace

std::vector<std::string> supported_families() {
  std::vector<std::string> names;
  for (const Family& family : families) names.emplace_back(family.model_type);
  return names;
}

LmConfig config_from_json(const Json& tree, std::string_view source) {
  if (!tree.is_object()) throw UserError("[lm] {}: no table of settings", source);
  const Keys keys(tree, source);
  const auto model_type = keys.need<std::string>("model_type");
  LmConfig config = plain_shape(model_type);
  family_of(model_type, source).fill(keys, config);
  if (config.window && config.window_first >= config.depth) config.window.reset();  // no block slides
  if (!config.window) {
    config.window_first = 0;
    config.window_every = 1;
  }
  validate(config);
  return config;
}

Json config_json(const LmConfig& c) {
  const Family& family = family_of(c.family, "config");
  Json tree = {{"architectures", {family.architecture}},
               {"model_type", c.family},
               {"vocab_size", c.vocabulary},
               {"hidden_size", c.width},
               {"intermediate_size", c.hidden},
               {"num_hidden_layers", c.depth},
               {"num_attention_heads", c.heads},
               {"num_key_value_heads", c.kv_heads},
               {"head_dim", c.head_dim},
               {"hidden_act", c.gelu ? "gelu_pytorch_tanh" : "silu"},
               {"max_position_embeddings", c.context},
               {"rms_norm_eps", c.norm_eps},
               {"rope_theta", c.rope_theta},
               {"tie_word_embeddings", c.tied},
               {"attention_dropout", 0.0}};
  if (c.gelu) tree["hidden_activation"] = tree["hidden_act"];
  if (c.rope_scaling) {
    tree["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", c.rope_scaling->factor},
                            {"low_freq_factor", c.rope_scaling->low_frequency_factor},
                            {"high_freq_factor", c.rope_scaling->high_frequency_factor},
                            {"original_max_position_embeddings", c.rope_scaling->original_length}};
  }
  family.store(c, tree);
  if (config_from_json(tree, "config") != c)
    throw UserError("[lm] a config.json of model_type '{}' cannot hold this shape: {}", c.family, to_json(c).dump());
  return tree;
}

}  // namespace tessera::lm
