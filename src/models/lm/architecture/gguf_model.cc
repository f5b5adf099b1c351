// Metadata becomes a config.json, so that one reader of configs serves both kinds of files.
#include "models/lm/architecture/gguf_model.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include <fmt/ranges.h>

#include "core/error.h"
#include "nn/kernels/blocks/block_type.h"

namespace tessera::lm {

std::string huggingface_name(std::string_view architecture, std::string_view stored);  // gguf_names.cc

namespace {

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
    std::array<char, 64> text{};
    const auto [end, bad] = std::to_chars(text.data(), text.data() + text.size(), static_cast<float>(*stored));
    double value = *stored;
    if (bad == std::errc()) std::from_chars(text.data(), end, value);
    return value;
  }

 private:
  const Json* metadata_;
  std::string architecture_, source_;
};

void fill_nothing(const GgufKeys&, Json&) {}

void fill_gemma2(const GgufKeys& keys, Json& config) {
  config["attn_logit_softcapping"] = to_json(keys.decimal("attn_logit_softcapping"));
  config["final_logit_softcapping"] = to_json(keys.decimal("final_logit_softcapping"));
  config["sliding_window"] = to_json(keys.get<int64_t>("attention.sliding_window"));
  // The file does not say how scores are scaled: by head_dim in all releases but the one of 27 B parameters
  const int64_t depth = config["num_hidden_layers"], width = config["hidden_size"],
                heads = config["num_attention_heads"];
  config["query_pre_attn_scalar"] = depth == 46 ? Json(width / heads) : config["head_dim"];
}

/// What sets an architecture apart in files.
struct GgufFamily {
  std::string_view architecture;
  std::string_view model_type;
  bool interleaved_heads;
  bool norms_with_one;
  std::string_view activation;
  void (*fill)(const GgufKeys&, Json&);
};

constexpr std::array gguf_families{
    GgufFamily{"gemma", "gemma", false, true, "gelu_pytorch_tanh", fill_nothing},
    GgufFamily{"gemma2", "gemma2", false, true, "gelu_pytorch_tanh", fill_gemma2},
    GgufFamily{"llama", "llama", true, false, "silu", fill_nothing},
    GgufFamily{"olmo2", "olmo2", false, false, "silu", fill_nothing},
    GgufFamily{"qwen2", "qwen2", false, false, "silu", fill_nothing},
};

const GgufFamily& gguf_family(std::string_view architecture, std::string_view source) {
  std::vector<std::string_view> known;
  for (const GgufFamily& family : gguf_families) {
    if (family.architecture == architecture) return family;
    known.push_back(family.architecture);
  }
  throw UserError("[gguf] {}: the architecture is '{}', want one of: {}", source, architecture, fmt::join(known, ", "));
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
  const size_t count = divisors.bytes.size() / sizeof(float);
  std::vector<float> stored(count);
  std::memcpy(stored.data(), divisors.bytes.data(), count * sizeof(float));
  const auto setting = [&](const char* name, double otherwise) {
    return keys.look_up<double>(std::string(gguf_scaling_prefix) + name).value_or(otherwise);
  };
  const double factor = setting("factor", count == 0 ? 0 : *std::ranges::max_element(stored));
  const double low = setting("low_freq_factor", 1), high = setting("high_freq_factor", 4);
  const double original = setting("original_length", 8192);
  bool same = divisors.dtype == Dtype::f32 && std::ssize(stored) == head_dim / 2;
  for (size_t i = 0; same && i < count; ++i) {
    const double wave = 2 * M_PI * std::pow(theta, 2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    const double smooth = std::clamp((original / wave - low) / (high - low), 0.0, 1.0);
    same = std::abs(1 / ((1 - smooth) / factor + smooth) / stored[i] - 1) < 1e-4;
  }
  if (!same)
    throw UserError("[gguf] {}: rope_freqs.weight holds divisors that are not Llama 3's, which is not supported",
                    keys.source());
  return {{"rope_type", "llama3"},
          {"factor", factor},
          {"low_freq_factor", low},
          {"high_freq_factor", high},
          {"original_max_position_embeddings", static_cast<int64_t>(original)}};
}

Json rope_scaling(const GgufKeys& keys) {
  const std::string type = keys.get<std::string>("rope.scaling.type").value_or("none");
  if (type == "none") return {};
  Json scaling = {{"rope_type", type}};
  if (const auto factor = keys.decimal("rope.scaling.factor")) scaling["factor"] = *factor;
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
  family.fill(keys, config);
  add_token_ids(keys, config);
  return config;
}

/// `stored` with other bytes, which the tensor owns.
StoredTensor with_bytes(const StoredTensor& stored, std::shared_ptr<std::string> bytes) {
  StoredTensor changed = stored;
  changed.bytes = *bytes;
  changed.owner = std::move(bytes);
  return changed;
}

StoredTensor with_separate_halves(const StoredTensor& stored, int64_t head_dim, const std::string& source) {
  const int64_t rows = stored.shape.empty() ? 0 : stored.shape[0];
  if (rows == 0 || head_dim < 2 || rows % head_dim != 0)
    throw UserError("[gguf] {}: {} has {} rows, want a multiple of {}", source, stored.name, rows, head_dim);
  const size_t row_bytes = stored.bytes.size() / static_cast<size_t>(rows);
  auto bytes = std::make_shared<std::string>(stored.bytes.size(), '\0');
  for (int64_t row = 0; row < rows; ++row)
    std::memcpy(bytes->data() + static_cast<size_t>(separate_row(row, head_dim)) * row_bytes,
                stored.bytes.data() + static_cast<size_t>(row) * row_bytes, row_bytes);
  return with_bytes(stored, std::move(bytes));
}

StoredTensor with_one_taken(const StoredTensor& stored, const std::string& source) {
  if (stored.dtype != Dtype::f32 || !stored.blocks.empty())
    throw UserError("[gguf] {}: {} is not stored as f32, which norms are", source, stored.name);
  auto bytes = std::make_shared<std::string>(stored.bytes);
  for (size_t at = 0; at + sizeof(float) <= bytes->size(); at += sizeof(float)) {
    float value;
    std::memcpy(&value, bytes->data() + at, sizeof value);
    value -= 1;
    std::memcpy(bytes->data() + at, &value, sizeof value);
  }
  return with_bytes(stored, std::move(bytes));
}

void require_known_types(const WeightSource& stored, const std::string& source) {
  for (const auto& [name, tensor] : stored.tensors()) {
    if (tensor.blocks.empty() || nn::blocks::block_type_named(tensor.blocks) != nullptr) continue;
    std::string known = "f32, f16, bf16";
    for (const auto& type : nn::blocks::block_types) known += ", " + std::string(type.name);
    throw UserError("[gguf] {}: tensor '{}' is of type {}, want one of: {}", source, name, tensor.blocks, known);
  }
}

bool is_rotated(std::string_view name) {
  return name.find(".attn_q.") != name.npos || name.find(".attn_k.") != name.npos;
}

}  // namespace

GgufHabits gguf_habits(std::string_view architecture, std::string_view source) {
  const GgufFamily& family = gguf_family(architecture, source);
  return {.interleaved_heads = family.interleaved_heads, .norms_with_one = family.norms_with_one};
}

std::vector<std::string> gguf_model_types() {
  std::vector<std::string> all;
  for (const GgufFamily& family : gguf_families)
    all.push_back(std::string(gguf_prefix) + std::string(family.architecture));
  return all;
}

GgufModel open_gguf(const ModelDirectory& directory) {
  const std::string source = directory.path.string();
  const std::string architecture = directory.model_type.substr(gguf_prefix.size());
  const GgufFamily& family = gguf_family(architecture, source);
  const GgufKeys keys(directory.config, architecture, source);
  const WeightSource stored(directory.path);
  require_known_types(stored, source);
  GgufModel model{.config = config_of(keys, family, stored), .weights = stored};
  const int64_t head_dim = model.config["head_dim"];
  model.weights = stored
                      .changed([&](const StoredTensor& tensor) {
                        if (family.interleaved_heads && is_rotated(tensor.name))
                          return with_separate_halves(tensor, head_dim, source);
                        if (family.norms_with_one && tensor.name.ends_with("_norm.weight"))
                          return with_one_taken(tensor, source);
                        return tensor;
                      })
                      .renamed([&](std::string_view name) {
                        return name == "rope_freqs.weight" ? std::string() : huggingface_name(architecture, name);
                      });
  return model;
}

}  // namespace tessera::lm
