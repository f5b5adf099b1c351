// Writing PEFT directories; peft_read.cc reads them.
#include "nn/layers/peft.h"

#include <cmath>
#include <set>
#include <string_view>

#include "core/error.h"
#include "core/json.h"
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

}  // namespace tessera::nn
