// Reading PEFT directories; everything foreign is checked before the first layer changes.
#include <algorithm>
#include <string_view>

#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <torch/csrc/autograd/grad_mode.h>

#include "core/error.h"
#include "nn/layers/peft.h"
#include "nn/layers/peft_config.h"
#include "tensor/safetensors.h"
#include "tensor/weights.h"

namespace tessera::nn {

namespace {
constexpr std::string_view model_prefix = "base_model.model.";

/// What a tensor of the file is.
enum class TensorRole { a, b, embedding_a, embedding_b, magnitude, rows, saved };
struct RoleSuffix {
  std::string_view suffix;
  TensorRole role;
};
constexpr RoleSuffix role_suffixes[] = {{".lora_A.weight", TensorRole::a},
                                        {".lora_B.weight", TensorRole::b},
                                        {".lora_embedding_A", TensorRole::embedding_a},
                                        {".lora_embedding_B", TensorRole::embedding_b},
                                        {".lora_magnitude_vector.weight", TensorRole::magnitude},
                                        {".lora_magnitude_vector", TensorRole::magnitude},
                                        {".token_adapter.trainable_tokens_delta", TensorRole::rows}};

/// `text` without the part `word`, which stands between dots.
void drop(std::string& text, std::string_view word) {
  const std::string part = "." + std::string(word);
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at)) {
    const size_t end = at + part.size();
    if (end == text.size() || text[end] == '.') text.erase(at, part.size());
    else at = end;
  }
}

/// "base_model.model.NAME.lora_A.weight" -> NAME and the tensor's role; what is no part of an adapter is a tensor of the model.
std::pair<std::string, TensorRole> read_key(const std::string& key, const Path& file) {
  std::string rest = key.starts_with(model_prefix) ? key.substr(model_prefix.size()) : key;
  for (const char* word : {"default", "base_layer", "modules_to_save", "_orig_mod"}) drop(rest, word);
  for (const auto& [suffix, role] : role_suffixes) {
    if (rest.ends_with(suffix)) return {rest.substr(0, rest.size() - suffix.size()), role};
  }
  if (rest.find("lora_") != std::string::npos || rest.find("token_adapter") != std::string::npos)
    throw UserError("[peft] {}: tensor '{}' belongs to no adapter that is known here", file.string(), key);
  return {rest, TensorRole::saved};
}

void require_whole(const std::string& name, const LoraParts& parts, bool dora, const Path& file) {
  if (!parts.a.defined() || !parts.b.defined())
    throw UserError("[peft] {}: layer '{}' has only half an adapter; want lora_A and lora_B", file.string(), name);
  if (parts.a.dim() != 2 || parts.b.dim() != 2 || parts.a.size(0) != parts.b.size(1) || parts.a.size(0) == 0)
    throw UserError("[peft] {}: adapter of '{}' does not fit; got {} and {}, want [rank, inputs] and [outputs, rank]",
                    file.string(), name, shape_text(parts.a.sizes().vec()), shape_text(parts.b.sizes().vec()));
  if (!at::isFloatingType(parts.a.scalar_type()) || !at::isFloatingType(parts.b.scalar_type()))
    throw UserError("[peft] {}: adapter of '{}' holds whole numbers, want floating point", file.string(), name);
  if (parts.magnitude.defined() != dora)
    throw UserError("[peft] {}: use_dora is {}, but layer '{}' has {} lora_magnitude_vector", file.string(), dora, name,
                    dora ? "no" : "a");
}

void finish_pairs(std::map<std::string, LoraParts>& pairs, const PeftConfig& config, bool dora, const Path& file) {
  for (auto& [name, parts] : pairs) {
    require_whole(name, parts, dora, file);
    parts.scale = config.scale(name, parts.a.size(0));
    parts.a = parts.a.to(at::kFloat);
    parts.b = parts.b.to(at::kFloat);
    if (dora) parts.magnitude = parts.magnitude.flatten().to(at::kFloat);
  }
}

void name_rows(const std::string& name, TrainedRows& rows, const PeftConfig& config, const Path& file) {
  for (const auto& [end, indices] : config.trained_rows) {
    if (name_ends(name, end)) rows.indices = indices;
  }
  if (rows.rows.dim() == 2 && std::ssize(rows.indices) == rows.rows.size(0)) return;
  throw UserError("[peft] {}: '{}' has {} trained rows, trainable_token_indices names {}", file.string(), name,
                  rows.rows.dim() == 2 ? rows.rows.size(0) : 0, rows.indices.size());
}

/// weight = magnitude / |W + scale B A| (W + scale B A), row by row.
void apply_dora(Linear& linear, const LoraParts& parts) {
  const at::NoGradGuard no_grad;
  const Tensor plain = linear.packed ? linear.packed->unpack() : linear.weight;
  const at::Device device = plain.device();
  const Tensor sum = plain.to(at::kFloat) + at::matmul(parts.b.to(device), parts.a.to(device)) * parts.scale;
  const Tensor lengths = sum.square().sum(1).sqrt();
  linear.weight = (sum * (parts.magnitude.to(device) / lengths).unsqueeze(1)).to(plain.scalar_type());
  linear.packed.reset();
}
}  // namespace

PeftAdapter read_adapter(const Path& directory) {
  const PeftConfig config = read_peft_config(directory / "adapter_config.json");
  PeftAdapter adapter{.file = adapter_weight_file(directory)};
  for (const auto& [key, tensor] : load_tensors(adapter.file)) {
    const auto [name, role] = read_key(key, adapter.file);
    if (role == TensorRole::a) adapter.linears[name].a = tensor;
    if (role == TensorRole::b) adapter.linears[name].b = tensor;
    if (role == TensorRole::magnitude) adapter.linears[name].magnitude = tensor;
    if (role == TensorRole::embedding_a) adapter.embeddings[name].a = tensor;
    if (role == TensorRole::embedding_b) adapter.embeddings[name].b = tensor;
    if (role == TensorRole::rows) adapter.rows[name].rows = tensor.to(at::kFloat);
    if (role == TensorRole::saved) adapter.saved[name] = tensor;
  }
  finish_pairs(adapter.linears, config, config.dora, adapter.file);
  finish_pairs(adapter.embeddings, config, false, adapter.file);
  for (auto& [name, rows] : adapter.rows) name_rows(name, rows, config, adapter.file);
  if (adapter.linears.empty() && adapter.embeddings.empty() && adapter.rows.empty())
    throw UserError("[peft] {} holds no adapters", adapter.file.string());
  return adapter;
}

void require_fit(const LoraParts& parts, const std::string& name, const Linear* linear, const Path& file) {
  if (linear == nullptr) throw UserError("[peft] {}: the model has no linear layer '{}'", file.string(), name);
  const int64_t in = linear->inputs(), out = linear->outputs();
  if (parts.a.size(1) != in || parts.b.size(0) != out) {
    throw UserError("[peft] {}: adapter of '{}' does not fit; got {} and {}, want [rank, {}] and [{}, rank]",
                    file.string(), name, shape_text(parts.a.sizes().vec()), shape_text(parts.b.sizes().vec()), in, out);
  }
  if (parts.magnitude.defined() && parts.magnitude.numel() != out)
    throw UserError("[peft] {}: '{}' has {} magnitudes, want {}", file.string(), name, parts.magnitude.numel(), out);
}

void add_adapter(Linear& linear, const LoraParts& parts, const std::string& name, const Path& file) {
  if (parts.magnitude.defined()) {
    if (linear.lora)
      throw UserError("[peft] {}: DoRA on layer '{}', which has another adapter already; their sum is not defined",
                      file.string(), name);
    return apply_dora(linear, parts);
  }
  const at::Device device = linear.device();
  Lora lora{parts.a.to(device), parts.b.to(device), parts.scale};
  if (linear.lora) {
    lora.a = at::cat({linear.lora->a, lora.a});
    lora.b = at::cat({linear.lora->b * linear.lora->scale, lora.b * lora.scale}, 1);
    lora.scale = 1;
  }
  linear.lora = std::move(lora);
}

void load_adapters(const std::vector<NamedLinear>& linears, const Path& directory) {
  const PeftAdapter adapter = read_adapter(directory);
  if (!adapter.embeddings.empty() || !adapter.rows.empty() || !adapter.saved.empty())
    throw UserError(
        "[peft] {} holds more than linear layers (modules_to_save, biases or embeddings), which is not supported here",
        adapter.file.string());
  std::map<std::string, Linear*> by_name;
  for (const auto& [name, linear] : linears) by_name[name] = linear;
  for (const auto& [name, parts] : adapter.linears) {
    const auto found = by_name.find(name);
    require_fit(parts, name, found == by_name.end() ? nullptr : found->second, adapter.file);
  }
  for (const auto& [name, parts] : adapter.linears) add_adapter(*by_name.at(name), parts, name, adapter.file);
}

}  // namespace tessera::nn
