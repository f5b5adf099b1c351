// Reading and writing PEFT directories; everything foreign is checked before the first layer changes.
#include "nn/layers/peft.h"

#include <cmath>
#include <map>
#include <set>
#include <string_view>

#include "core/error.h"
#include "core/json.h"
#include "tensor/safetensors.h"
#include "tensor/weights.h"

namespace tessera::nn {

namespace {
constexpr std::string_view key_prefix = "base_model.model.";
constexpr std::string_view a_suffix = ".lora_A.weight", b_suffix = ".lora_B.weight";

/// 32 rather than 32.0: PEFT's own files hold whole numbers.
Json number(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e9) return static_cast<int64_t>(value);
  return value;
}

std::string last_word(const std::string& name) { return name.substr(name.rfind('.') + 1); }

/// Short names where all layers of that name have an adapter, whole names elsewhere.
std::vector<std::string> target_modules(const std::vector<NamedLinear>& linears) {
  std::set<std::string> partly, targets;
  for (const auto& [name, linear] : linears) {
    if (!linear->lora) partly.insert(last_word(name));
  }
  for (const auto& [name, linear] : linears) {
    if (linear->lora) targets.insert(partly.contains(last_word(name)) ? name : last_word(name));
  }
  return {targets.begin(), targets.end()};
}

/// What of adapter_config.json decides the numbers.
struct Settings {
  double alpha = 1;
  bool root = false;  // rsLoRA: alpha / sqrt(rank)
  std::map<std::string, double> alphas;

  double scale(const std::string& name, int64_t rank) const {
    double chosen = alpha;
    for (const auto& [key, value] : alphas) {
      if (name_ends(name, key)) chosen = value;
    }
    const auto r = static_cast<double>(rank);
    return chosen / (root ? std::sqrt(r) : r);
  }
};

double finite_number(const Json& value, std::string_view key, const Path& file) {
  if (!value.is_number() || !std::isfinite(value.get<double>()))
    throw UserError("[peft] {}: {} is {}, want a number", file.string(), key,
                    value.dump(-1, ' ', false, Json::error_handler_t::replace));
  return value.get<double>();
}

/// A switch that must be off for the numbers to mean what we compute.
void require_off(const Json& config, const char* key, const Path& file) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null() || *found == Json(false)) return;
  if ((found->is_object() || found->is_array()) && found->empty()) return;
  throw UserError("[peft] {}: {} is set, which is not supported; merge the adapter where it was made", file.string(),
                  key);
}

Settings read_settings(const Path& file) {
  const Json config = read_json_file(file);
  if (!config.is_object()) throw UserError("[peft] {} holds no object", file.string());
  const auto kind = config.find("peft_type");
  if (kind == config.end() || *kind != Json("LORA"))
    throw UserError("[peft] {}: peft_type is {}, want \"LORA\"", file.string(),
                    kind == config.end() ? "missing" : kind->dump(-1, ' ', false, Json::error_handler_t::replace));
  for (const char* key : {"use_dora", "fan_in_fan_out", "modules_to_save", "trainable_token_indices", "lora_bias"})
    require_off(config, key, file);
  if (const auto bias = config.find("bias"); bias != config.end() && !bias->is_null() && *bias != Json("none"))
    throw UserError("[peft] {}: biases were trained too, which is not supported; want bias \"none\"", file.string());
  Settings settings;
  const auto alpha = config.find("lora_alpha");
  if (alpha == config.end()) throw UserError("[peft] {}: lora_alpha is missing", file.string());
  settings.alpha = finite_number(*alpha, "lora_alpha", file);
  if (const auto root = config.find("use_rslora"); root != config.end()) settings.root = *root == Json(true);
  if (const auto alphas = config.find("alpha_pattern"); alphas != config.end() && alphas->is_object()) {
    for (const auto& [key, value] : alphas->items()) {
      if (key.find_first_of("*+?[](){}|^$\\") != std::string::npos)
        throw UserError("[peft] {}: alpha_pattern '{}' is a pattern; want names of layers", file.string(), key);
      settings.alphas[key] = finite_number(value, "alpha_pattern", file);
    }
  }
  return settings;
}

/// "base_model.model.NAME.lora_A.weight" -> NAME and the half's place in the pair.
std::pair<std::string, bool> read_key(const std::string& key, const Path& file) {
  std::string_view rest = key;
  if (rest.starts_with(key_prefix)) rest.remove_prefix(key_prefix.size());
  for (const std::string_view suffix : {a_suffix, b_suffix}) {
    if (rest.ends_with(suffix)) return {std::string(rest.substr(0, rest.size() - suffix.size())), suffix == a_suffix};
  }
  throw UserError("[peft] {}: tensor '{}' belongs to no adapter of a linear layer", file.string(), key);
}

void check_pair(const std::string& name, const Lora& lora, const Linear& linear, const Path& file) {
  if (!lora.a.defined() || !lora.b.defined())
    throw UserError("[peft] {}: layer '{}' has only half an adapter; want lora_A and lora_B", file.string(), name);
  const int64_t in = linear.inputs(), out = linear.outputs();
  const bool fits = lora.a.dim() == 2 && lora.b.dim() == 2 && lora.a.size(1) == in && lora.b.size(0) == out &&
                    lora.a.size(0) == lora.b.size(1) && lora.a.size(0) > 0;
  if (!fits) {
    throw UserError("[peft] {}: adapter of '{}' does not fit; got {} and {}, want [rank, {}] and [{}, rank]",
                    file.string(), name, shape_text(lora.a.sizes().vec()), shape_text(lora.b.sizes().vec()), in, out);
  }
  if (!at::isFloatingType(lora.a.scalar_type()) || !at::isFloatingType(lora.b.scalar_type()))
    throw UserError("[peft] {}: adapter of '{}' holds whole numbers, want floating point", file.string(), name);
}
}  // namespace

void save_adapters(const std::vector<NamedLinear>& linears, const Path& directory, const std::string& base_model,
                   FileSystem& files) {
  std::vector<NamedTensor> all;
  Json ranks = Json::object(), alphas = Json::object();
  int64_t rank = 0;
  double alpha = 0;
  for (const auto& [name, linear] : linears) {
    if (!linear->lora) continue;
    const Lora& lora = *linear->lora;
    const int64_t own_rank = lora.a.size(0);
    const double own_alpha = lora.scale * static_cast<double>(own_rank);
    if (all.empty()) {
      rank = own_rank;
      alpha = own_alpha;
    }
    if (own_rank != rank) ranks[name] = own_rank;
    if (own_alpha != alpha) alphas[name] = number(own_alpha);
    all.push_back({fmt::format("{}{}{}", key_prefix, name, a_suffix), lora.a});
    all.push_back({fmt::format("{}{}{}", key_prefix, name, b_suffix), lora.b});
  }
  if (all.empty()) throw UserError("[peft] the model has no adapters to save");
  const Json config = {{"peft_type", "LORA"},
                       {"task_type", "CAUSAL_LM"},
                       {"base_model_name_or_path", base_model},
                       {"r", rank},
                       {"lora_alpha", number(alpha)},
                       {"lora_dropout", 0.0},
                       {"target_modules", target_modules(linears)},
                       {"rank_pattern", ranks},
                       {"alpha_pattern", alphas},
                       {"bias", "none"},
                       {"fan_in_fan_out", false},
                       {"use_rslora", false},
                       {"use_dora", false},
                       {"init_lora_weights", true},
                       {"modules_to_save", nullptr},
                       {"inference_mode", true}};
  files.create_directories(directory);
  save_tensors(directory / "adapter_model.safetensors", all, files, {.metadata = {{"format", "pt"}}});
  write_file_atomically(directory / "adapter_config.json", config.dump(2) + "\n", files);
}

void load_adapters(const std::vector<NamedLinear>& linears, const Path& directory) {
  const Settings settings = read_settings(directory / "adapter_config.json");
  const Path file = directory / "adapter_model.safetensors";
  std::map<std::string, Linear*> by_name;
  for (const auto& [name, linear] : linears) by_name[name] = linear;
  std::map<std::string, Lora> pairs;
  for (const auto& [key, tensor] : load_tensors(file)) {
    const auto [name, is_a] = read_key(key, file);
    if (!by_name.contains(name)) throw UserError("[peft] {}: the model has no linear layer '{}'", file.string(), name);
    (is_a ? pairs[name].a : pairs[name].b) = tensor;
  }
  if (pairs.empty()) throw UserError("[peft] {} holds no adapters", file.string());
  for (auto& [name, lora] : pairs) {
    const Linear& linear = *by_name.at(name);
    check_pair(name, lora, linear, file);
    if (linear.lora) throw UserError("[peft] layer '{}' has an adapter already; merge it first", name);
    const at::Device device = linear.device();
    lora.a = lora.a.to(device, at::kFloat);
    lora.b = lora.b.to(device, at::kFloat);
    lora.scale = settings.scale(name, lora.a.size(0));
  }
  for (auto& [name, lora] : pairs) by_name.at(name)->lora = std::move(lora);
}

}  // namespace tessera::nn
