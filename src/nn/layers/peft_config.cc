// See peft_config.h. Patterns are Python's re.match of "(.*\.)?(PATTERN)$", as in PEFT.
#include "nn/layers/peft_config.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/json.h"
#include "text/regex.h"

namespace tessera::nn {

namespace {
std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

double finite_number(const Json& value, std::string_view key, const Path& file) {
  if (!value.is_number() || !std::isfinite(value.get<double>()))
    throw UserError("[peft] {}: {} is {}, want a number", file.string(), key, shown(value));
  return value.get<double>();
}

int64_t rank_number(const Json& value, std::string_view key, const Path& file) {
  const double rank = finite_number(value, key, file);
  if (rank < 1 || rank > 1e6 || rank != std::floor(rank))
    throw UserError("[peft] {}: {} is {}, want a rank of at least 1", file.string(), key, shown(value));
  return static_cast<int64_t>(rank);
}

const Json* find(const Json& config, const char* key) {
  const auto found = config.find(key);
  return found == config.end() || found->is_null() ? nullptr : &*found;
}

bool is_set(const Json& value) {
  if (value.is_object() || value.is_array()) return !value.empty();
  return !value.is_null() && value != Json(false);
}

bool switched_on(const Json& config, const char* key, const Path& file) {
  const Json* const value = find(config, key);
  if (value == nullptr) return false;
  if (!value->is_boolean())
    throw UserError("[peft] {}: {} is {}, want true or false", file.string(), key, shown(*value));
  return value->get<bool>();
}

/// A start that subtracts from the base what the adapter begins with: beside the base as it was released the numbers are wrong.
void require_plain_start(const Json& config, const Path& file) {
  const Json* const start = find(config, "init_lora_weights");
  if (start == nullptr || start->is_boolean()) return;
  for (const char* known : {"gaussian", "eva", "orthogonal"}) {
    if (*start == Json(known)) return;
  }
  throw UserError(
      "[peft] {}: init_lora_weights is {}, a start that changes the base beside the adapter; convert it to plain LoRA "
      "where it "
      "was made (PEFT: save_pretrained with path_initial_model_for_weight_conversion), or merge it there",
      file.string(), shown(*start));
}

void require_supported(const Json& config, const Path& file) {
  const Json* const kind = find(config, "peft_type");
  if (kind == nullptr || *kind != Json("LORA"))
    throw UserError("[peft] {}: peft_type is {}, want \"LORA\"", file.string(),
                    kind == nullptr ? "missing" : shown(*kind));
  for (const char* key :
       {"lora_bias", "layer_replication", "target_parameters", "alora_invocation_tokens", "use_qalora", "use_bdlora",
        "arrow_config", "kasa_config", "velora_config", "monteclora_config"}) {
    if (const auto found = config.find(key); found != config.end() && is_set(*found))
      throw UserError("[peft] {}: {} is set, which is not supported; merge the adapter where it was made",
                      file.string(), key);
  }
  for (const auto& [key, value] : config.items()) {
    if (key.starts_with("use_") && key != "use_rslora" && key != "use_dora" && is_set(value))
      throw UserError("[peft] {}: {} is set, which is not known here; merge the adapter where it was made",
                      file.string(), key);
  }
  if (const Json* bias = find(config, "bias"); bias != nullptr) {
    if (*bias != Json("none") && *bias != Json("all") && *bias != Json("lora_only"))
      throw UserError("[peft] {}: bias is {}, want none, all or lora_only", file.string(), shown(*bias));
  }
  require_plain_start(config, file);
}

/// trainable_token_indices: a list for the embedding, or lists by module.
void read_trained_rows(const Json& value, PeftConfig& to) {
  const auto read = [&](const std::string& name, const Json& list) {
    if (!list.is_array())
      throw UserError("[peft] {}: trainable_token_indices is {}, want lists of ids", to.file.string(), shown(list));
    for (const Json& id : list) {
      if (!id.is_number_integer() || id < 0)
        throw UserError("[peft] {}: trainable_token_indices holds {}, want ids", to.file.string(), shown(id));
      to.trained_rows[name].push_back(id.get<int64_t>());
    }
  };
  if (!value.is_object()) return read("embed_tokens", value);
  for (const auto& [name, list] : value.items()) read(name, list);
}

bool matches(const std::string& pattern, const std::string& name, const Path& file) {
  return !text::Regex("^(?:.*\\.)?(?:" + pattern + ")$", file.string()).matches(name).empty();
}

/// The value of the first pattern that a name matches.
template <class T>
T chosen(const std::vector<std::pair<std::string, T>>& patterns, const std::string& name, T otherwise,
         const Path& file) {
  for (const auto& [pattern, value] : patterns) {
    if (matches(pattern, name, file)) return value;
  }
  return otherwise;
}
}  // namespace

double PeftConfig::scale(const std::string& layer, int64_t stored) const {
  if (const int64_t want = chosen(ranks, layer, rank, file); want != stored)
    throw UserError("[peft] {}: layer '{}' is to have rank {}, its tensors have {}", file.string(), layer, want,
                    stored);
  const auto r = static_cast<double>(stored);
  return chosen(alphas, layer, alpha, file) / (root ? std::sqrt(r) : r);
}

PeftConfig read_peft_config(const Path& file) {
  const Json config = read_json_file(file);
  if (!config.is_object()) throw UserError("[peft] {} holds no object", file.string());
  require_supported(config, file);
  PeftConfig found{
      .root = switched_on(config, "use_rslora", file), .dora = switched_on(config, "use_dora", file), .file = file};
  const Json* const alpha = find(config, "lora_alpha");
  if (alpha == nullptr) throw UserError("[peft] {}: lora_alpha is missing", file.string());
  found.alpha = finite_number(*alpha, "lora_alpha", file);
  if (const Json* rank = find(config, "r"); rank != nullptr) found.rank = rank_number(*rank, "r", file);
  if (const Json* alphas = find(config, "alpha_pattern"); alphas != nullptr && alphas->is_object()) {
    for (const auto& [key, value] : alphas->items())
      found.alphas.emplace_back(key, finite_number(value, "alpha_pattern", file));
  }
  if (const Json* ranks = find(config, "rank_pattern"); ranks != nullptr && ranks->is_object()) {
    for (const auto& [key, value] : ranks->items())
      found.ranks.emplace_back(key, rank_number(value, "rank_pattern", file));
  }
  if (const Json* rows = find(config, "trainable_token_indices"); rows != nullptr) read_trained_rows(*rows, found);
  return found;
}

}  // namespace tessera::nn
