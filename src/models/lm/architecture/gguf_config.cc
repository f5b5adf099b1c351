// Metadata becomes a config.json, so that one reader of configs serves both kinds of files.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include <fmt/ranges.h>

#include "core/error.h"
#include "models/lm/architecture/families.h"
#include "models/lm/architecture/gguf_model.h"
#include "models/lm/architecture/module.h"

namespace tessera::lm {

namespace {

/// The decimal number of fewest digits that is stored as this one.
double shortest_decimal(float stored) {
  std::array<char, 64> text{};
  const auto [end, bad] = std::to_chars(text.data(), text.data() + text.size(), stored);
  double value = stored;
  if (bad == std::errc()) std::from_chars(text.data(), end, value);
  return value;
}

/// The keys of one architecture: "block_count" stands for "llama.block_count".
class GgufKeys {
 public:
  GgufKeys(const Json& metadata, std::string architecture, std::string source)
      : metadata_(&metadata), architecture_(std::move(architecture)), source_(std::move(source)) {}

  const std::string& architecture() const { return architecture_; }
  const std::string& source() const { return source_; }
  template <class T> std::optional<T> get(const std::string& key) const {
    return look_up<T>(architecture_ + "." + key);
  }
  template <class T> std::optional<T> look_up(const std::string& full) const {
    const auto found = metadata_->find(full);
    std::optional<T> value;
    if (found != metadata_->end()) from_json(*found, value, source_, full);
    return value;
  }
  template <class T> T need(const std::string& key) const {
    if (const auto value = get<T>(key)) return *value;
    throw UserError("[gguf] {}: '{}.{}' is missing", source_, architecture_, key);
  }
  /// A number that was stored in 32 bits, as the decimal number that somebody meant.
  std::optional<double> decimal(const std::string& key) const {
    const auto stored = get<double>(key);
    if (!stored || static_cast<double>(static_cast<float>(*stored)) != *stored) return stored;
    return shortest_decimal(static_cast<float>(*stored));
  }

 private:
  const Json* metadata_;
  std::string architecture_, source_;
};

void fill_nothing(const GgufKeys&, const WeightSource&, Json&) {}

void fill_gemma2(const GgufKeys& keys, const WeightSource&, Json& config) {
  config["attn_logit_softcapping"] = to_json(keys.decimal("attn_logit_softcapping"));
  config["final_logit_softcapping"] = to_json(keys.decimal("final_logit_softcapping"));
  config["sliding_window"] = to_json(keys.get<int64_t>("attention.sliding_window"));
  // The file does not say how scores are scaled: by head_dim in all releases but the one of 27 B parameters
  const int64_t depth = config["num_hidden_layers"], width = config["hidden_size"],
                heads = config["num_attention_heads"];
  config["query_pre_attn_scalar"] = depth == 46 ? Json(width / heads) : config["head_dim"];
}

/// The window and the blocks that have it: those that a list names, or all but every n-th.
void fill_windows(const GgufKeys& keys, int64_t every, Json& config) {
  const int64_t window = keys.get<int64_t>("attention.sliding_window").value_or(0), depth = config["num_hidden_layers"];
  config["sliding_window"] = window > 0 ? Json(window) : Json(nullptr);
  if (window <= 0) return;
  const Json pattern = keys.get<Json>("attention.sliding_window_pattern").value_or(Json(every));
  if (!pattern.is_array() && !pattern.is_number_integer())
    throw UserError("[gguf] {}: attention.sliding_window_pattern is neither a list nor a number", keys.source());
  if (depth < 1 || depth > 4096 || (pattern.is_array() && std::ssize(pattern) < depth))
    throw UserError("[gguf] {}: attention.sliding_window_pattern has {} entries for {} blocks", keys.source(),
                    pattern.size(), depth);
  const int64_t n = pattern.is_array() ? 0 : pattern.get<int64_t>();
  for (int64_t i = 0; i < depth; ++i) {
    const bool slides = pattern.is_array() ? pattern[static_cast<size_t>(i)] == Json(true) : n < 1 || (i + 1) % n != 0;
    config["layer_types"].push_back(slides ? "sliding_attention" : "full_attention");
  }
}

void fill_gemma3(const GgufKeys& keys, const WeightSource&, Json& config) {
  config["final_logit_softcapping"] = to_json(keys.decimal("final_logit_softcapping"));
  config["rope_local_base_freq"] = keys.decimal("rope.freq_base_swa").value_or(1e4);
  fill_windows(keys, 6, config);
  // as for Gemma 2: the release of 27 B parameters is the exception
  const int64_t depth = config["num_hidden_layers"], width = config["hidden_size"],
                heads = config["num_attention_heads"];
  config["query_pre_attn_scalar"] = depth == 62 ? Json(width / heads) : config["head_dim"];
}

/// OLMo 3's files are OLMo 2's with a window.
void fill_olmo(const GgufKeys& keys, const WeightSource&, Json& config) {
  fill_windows(keys, 4, config);
  if (config["sliding_window"].is_null()) return;
  config["model_type"] = "olmo3";
  if (const auto base = keys.decimal("rope.freq_base_swa")) config["rope_local_base_freq"] = *base;
}

std::vector<float> floats_of(const StoredTensor& tensor, const std::string& source) {
  if (tensor.dtype != Dtype::f32 || !tensor.blocks.empty())
    throw UserError("[gguf] {}: {} is not stored as f32", source, tensor.name);
  std::vector<float> numbers(tensor.bytes.size() / sizeof(float));
  std::memcpy(numbers.data(), tensor.bytes.data(), numbers.size() * sizeof(float));
  return numbers;
}

void fill_phi3(const GgufKeys& keys, const WeightSource& tensors, Json& config) {
  const int64_t width = config["hidden_size"], heads = config["num_attention_heads"],
                context = config["max_position_embeddings"];
  const int64_t head_dim = keys.get<int64_t>("attention.key_length").value_or(width / heads);
  const int64_t turned = keys.get<int64_t>("rope.dimension_count").value_or(head_dim);
  config["head_dim"] = head_dim;
  if (turned > 0 && turned < head_dim) config["partial_rotary_factor"] = rotary_share(turned, head_dim);
  if (const auto window = keys.get<int64_t>("attention.sliding_window"); window && *window > 0)
    config["sliding_window"] = *window;
  const int64_t original = keys.get<int64_t>("rope.scaling.original_context_length").value_or(context);
  config["original_max_position_embeddings"] = original;
  const StoredTensor* const longer = tensors.find("rope_factors_long.weight");
  const StoredTensor* const shorter = tensors.find("rope_factors_short.weight");
  if (longer == nullptr || shorter == nullptr) return;
  Json scaling = {{"rope_type", "longrope"}};
  for (const auto& [key, tensor] : {std::pair{"long_factor", longer}, {"short_factor", shorter}}) {
    for (const float factor : floats_of(*tensor, keys.source())) scaling[key].push_back(shortest_decimal(factor));
  }
  if (const auto attention = keys.decimal("rope.scaling.attn_factor"); attention && original > 1) {
    const double longer_by = static_cast<double>(context) / static_cast<double>(original);
    if (std::abs(*attention - longrope_attention_factor(longer_by, original)) > 1e-5)
      scaling["attention_factor"] = *attention;
  }
  config["rope_scaling"] = scaling;
}

void fill_qwen3_5(const GgufKeys& keys, const WeightSource& tensors, Json& config) {
  const int64_t head_dim = config["head_dim"], predicting = keys.get<int64_t>("nextn_predict_layers").value_or(0);
  config["num_hidden_layers"] = config["num_hidden_layers"].get<int64_t>() - predicting;
  const int64_t turned = keys.get<int64_t>("rope.dimension_count").value_or(head_dim);
  config["partial_rotary_factor"] = turned > 0 && turned < head_dim ? rotary_share(turned, head_dim) : 1.0;
  const auto key_heads = keys.need<int64_t>("ssm.group_count"), value_heads = keys.need<int64_t>("ssm.time_step_rank"),
             values = keys.need<int64_t>("ssm.inner_size");
  if (value_heads < 1 || values % value_heads != 0)
    throw UserError("[gguf] {}: ssm.inner_size is {}, want a multiple of ssm.time_step_rank {}", keys.source(), values,
                    value_heads);
  config["linear_num_key_heads"] = key_heads;
  config["linear_num_value_heads"] = value_heads;
  config["linear_key_head_dim"] = keys.need<int64_t>("ssm.state_size");
  config["linear_value_head_dim"] = values / value_heads;
  config["linear_conv_kernel_dim"] = keys.need<int64_t>("ssm.conv_kernel");
  config["linear_value_heads_tiled"] = key_heads != value_heads;
  const int64_t every = keys.get<int64_t>("full_attention_interval").value_or(4);
  config["full_attention_interval"] = every;
  config["attention_bias"] = tensors.find(fmt::format("blk.{}.attn_q.bias", every - 1)) != nullptr;
  const Json recurrent = keys.get<Json>("attention.recurrent_layers").value_or(Json());
  for (int64_t i = 0;
       recurrent.is_array() && i < std::min(config["num_hidden_layers"].get<int64_t>(), std::ssize(recurrent)); ++i)
    config["layer_types"].push_back(recurrent[static_cast<size_t>(i)] == Json(true) ? "linear_attention"
                                                                                    : "full_attention");
}

/// What sets an architecture apart in files. Several model types may share one; the first is what a file is read as.
struct GgufFamily {
  std::string_view architecture;
  std::string_view model_type;
  bool interleaved_heads;
  bool norms_with_one;
  std::string_view activation;
  void (*fill)(const GgufKeys&, const WeightSource&, Json&);
};

constexpr std::array gguf_families{
    GgufFamily{"gemma", "gemma", false, true, "gelu_pytorch_tanh", fill_nothing},
    GgufFamily{"gemma2", "gemma2", false, true, "gelu_pytorch_tanh", fill_gemma2},
    GgufFamily{"gemma3", "gemma3_text", false, true, "gelu_pytorch_tanh", fill_gemma3},
    GgufFamily{"llama", "llama", true, false, "silu", fill_nothing},
    GgufFamily{"llama", "mistral", true, false, "silu", fill_nothing},
    GgufFamily{"olmo2", "olmo2", false, false, "silu", fill_olmo},
    GgufFamily{"olmo2", "olmo3", false, false, "silu", fill_olmo},
    GgufFamily{"phi3", "phi3", false, false, "silu", fill_phi3},
    GgufFamily{"qwen2", "qwen2", false, false, "silu", fill_nothing},
    GgufFamily{"qwen3", "qwen3", false, false, "silu", fill_nothing},
    GgufFamily{"qwen35", "qwen3_5_text", false, true, "silu", fill_qwen3_5},
    GgufFamily{"smollm3", "smollm3", true, false, "silu", fill_nothing},
};

std::vector<std::string_view> architectures() {
  std::vector<std::string_view> all;
  for (const GgufFamily& family : gguf_families) {
    if (all.empty() || all.back() != family.architecture) all.push_back(family.architecture);
  }
  return all;
}

const GgufFamily& gguf_family(std::string_view architecture, std::string_view source) {
  for (const GgufFamily& family : gguf_families) {
    if (family.architecture == architecture) return family;
  }
  throw UserError("[gguf] {}: the architecture is '{}', want one of: {}", source, architecture,
                  fmt::join(architectures(), ", "));
}

/// Token ids as generation_config.json has them: what ends a text, and what ends a turn, are both ends.
void add_token_ids(const GgufKeys& keys, Json& config) {
  const auto id = [&](const char* key) { return keys.look_up<int64_t>(std::string("tokenizer.ggml.") + key); };
  if (const auto begin = id("bos_token_id")) config["bos_token_id"] = *begin;
  if (const auto pad = id("padding_token_id")) config["pad_token_id"] = *pad;
  Json ends = Json::array();
  for (const char* key : {"eos_token_id", "eot_token_id", "eom_token_id"}) {
    if (const auto end = id(key); end && std::ranges::find(ends, Json(*end)) == ends.end()) ends.push_back(*end);
  }
  if (!ends.empty()) config["eos_token_id"] = ends.size() == 1 ? ends[0] : ends;
}

/// Llama 3's stretching is stored as what each frequency is divided by. The settings behind it are in keys of ours where this program
/// wrote the file; else the largest divisor is the factor and the others are those of every release. Throws where they would not give
/// these divisors.
Json llama3_scaling(const GgufKeys& keys, const StoredTensor& divisors, double theta, int64_t head_dim) {
  const std::vector<float> stored = floats_of(divisors, keys.source());
  const auto setting = [&](const char* name, double otherwise) {
    return keys.look_up<double>(std::string(gguf_scaling_prefix) + name).value_or(otherwise);
  };
  const RopeScaling scaling{.type = "llama3",
                            .factor = setting("factor", stored.empty() ? 0 : *std::ranges::max_element(stored)),
                            .low_frequency_factor = setting("low_freq_factor", 1),
                            .high_frequency_factor = setting("high_freq_factor", 4),
                            .original_length = static_cast<int64_t>(setting("original_length", 8192))};
  bool same = std::ssize(stored) == head_dim / 2;
  if (same) {
    const Tensor ours = llama3_divisors(scaling, theta, head_dim);
    for (size_t i = 0; i < stored.size(); ++i)
      same = same && std::abs(ours.const_data_ptr<float>()[i] / stored[i] - 1) < 1e-4;
  }
  if (!same)
    throw UserError("[gguf] {}: rope_freqs.weight holds divisors that are not Llama 3's, which is not supported",
                    keys.source());
  return {{"rope_type", "llama3"},
          {"factor", scaling.factor},
          {"low_freq_factor", scaling.low_frequency_factor},
          {"high_freq_factor", scaling.high_frequency_factor},
          {"original_max_position_embeddings", scaling.original_length}};
}

Json rope_scaling(const GgufKeys& keys) {
  const std::string type = keys.get<std::string>("rope.scaling.type").value_or("none");
  if (type == "none" || type == "longrope") return {};  // the latter is in its tensors
  Json scaling = {{"rope_type", type}};
  for (const auto& [theirs, ours] : {std::pair{"factor", "factor"},
                                     {"yarn_attn_factor", "attention_factor"},
                                     {"yarn_beta_fast", "beta_fast"},
                                     {"yarn_beta_slow", "beta_slow"}}) {
    if (const auto value = keys.decimal(std::string("rope.scaling.") + theirs)) scaling[ours] = *value;
  }
  if (const auto original = keys.get<int64_t>("rope.scaling.original_context_length"))
    scaling["original_max_position_embeddings"] = *original;
  return scaling;
}

Json config_of(const GgufKeys& keys, const GgufFamily& family, const WeightSource& source) {
  const StoredTensor* words = source.find("token_embd.weight");
  if (words == nullptr || words->shape.size() != 2)
    throw UserError("[gguf] {}: no token_embd.weight [vocabulary, width]", keys.source());
  const auto width = keys.need<int64_t>("embedding_length"), heads = keys.need<int64_t>("attention.head_count");
  if (heads < 1) throw UserError("[gguf] {}: attention.head_count is {}, want 1 or more", keys.source(), heads);
  const int64_t head_dim = keys.get<int64_t>("attention.key_length")
                               .value_or(keys.get<int64_t>("rope.dimension_count").value_or(width / heads));
  Json config = {{"model_type", family.model_type},
                 {"vocab_size", words->shape[0]},
                 {"hidden_size", width},
                 {"intermediate_size", keys.need<int64_t>("feed_forward_length")},
                 {"num_hidden_layers", keys.need<int64_t>("block_count")},
                 {"num_attention_heads", heads},
                 {"num_key_value_heads", keys.get<int64_t>("attention.head_count_kv").value_or(heads)},
                 {"head_dim", head_dim},
                 {"hidden_act", family.activation},
                 {"hidden_activation", family.activation},
                 {"max_position_embeddings", keys.need<int64_t>("context_length")},
                 {"rms_norm_eps", keys.decimal("attention.layer_norm_rms_epsilon").value_or(1e-5)},
                 {"rope_theta", keys.decimal("rope.freq_base").value_or(1e4)},
                 {"tie_word_embeddings", source.find("output.weight") == nullptr},
                 {"attention_bias", source.find("blk.0.attn_q.bias") != nullptr},
                 {"mlp_bias", source.find("blk.0.ffn_gate.bias") != nullptr}};
  if (config["attention_bias"] && family.model_type == "llama" && source.find("blk.0.attn_output.bias") == nullptr)
    throw UserError("[gguf] {}: biases on queries, keys and values alone are not supported for llama", keys.source());
  Json scaling = rope_scaling(keys);
  if (const StoredTensor* divisors = source.find("rope_freqs.weight"))
    scaling = llama3_scaling(keys, *divisors, config["rope_theta"], head_dim);
  if (!scaling.is_null()) config["rope_scaling"] = scaling;
  family.fill(keys, source, config);
  add_token_ids(keys, config);
  return config;
}

}  // namespace

GgufHabits gguf_habits(std::string_view model_type, std::string_view source) {
  for (const GgufFamily& family : gguf_families) {
    if (family.model_type == model_type)
      return {.architecture = family.architecture,
              .interleaved_heads = family.interleaved_heads,
              .norms_with_one = family.norms_with_one};
  }
  throw UserError("[gguf] {}: models of type '{}' have no architecture in GGUF", source, model_type);
}

std::vector<std::string> gguf_model_types() {
  std::vector<std::string> all;
  for (const std::string_view architecture : architectures())
    all.push_back(std::string(gguf_prefix) + std::string(architecture));
  return all;
}

Json gguf_config(const Json& metadata, std::string_view architecture, const WeightSource& tensors) {
  const std::string source = tensors.path().string();
  return config_of(GgufKeys(metadata, std::string(architecture), source), gguf_family(architecture, source), tensors);
}

}  // namespace tessera::lm
