// Tensors as Hugging Face's checkpoints have them: what llama.cpp's converter changed is changed back.
#include "models/lm/architecture/gguf_model.h"

#include <charconv>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/log.h"
#include "nn/kernels/blocks/block_type.h"

namespace tessera::lm {

std::string huggingface_name(std::string_view architecture, std::string_view stored);                // gguf_names.cc
Json gguf_config(const Json& metadata, std::string_view architecture, const WeightSource& tensors);  // gguf_config.cc

namespace {

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

/// Each number changed by `change`.
template <class F> StoredTensor with_numbers(const StoredTensor& stored, const std::string& source, const F& change) {
  if (stored.dtype != Dtype::f32 || !stored.blocks.empty())
    throw UserError("[gguf] {}: {} is not stored as f32, which norms and decays are", source, stored.name);
  auto bytes = std::make_shared<std::string>(stored.bytes);
  for (size_t at = 0; at + sizeof(float) <= bytes->size(); at += sizeof(float)) {
    float value;
    std::memcpy(&value, bytes->data() + at, sizeof value);
    value = change(value);
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

/// [channels, kernel] as [channels, 1, kernel].
StoredTensor as_convolution(const StoredTensor& stored) {
  StoredTensor changed = stored;
  if (changed.shape.size() == 2) changed.shape.insert(changed.shape.begin() + 1, 1);
  return changed;
}

/// Whether a tensor belongs to a block behind the last: layers that predict further tokens.
bool is_behind(std::string_view name, int64_t depth) {
  if (!name.starts_with("blk.")) return false;
  const std::string_view digits = name.substr(4, name.substr(4).find('.'));
  int64_t block = 0;
  const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), block);
  return bad == std::errc() && end == digits.data() + digits.size() && block >= depth;
}

bool is_rotated(std::string_view name) {
  return name.find(".attn_q.") != name.npos || name.find(".attn_k.") != name.npos;
}

}  // namespace

GgufModel open_gguf(const ModelDirectory& directory) {
  const std::string source = directory.path.string();
  const std::string architecture = directory.model_type.substr(gguf_prefix.size());
  const WeightSource stored(directory.path);
  require_known_types(stored, source);
  GgufModel model{.config = gguf_config(directory.config, architecture, stored), .weights = stored};
  const GgufHabits habits = gguf_habits(model.config["model_type"].get<std::string>(), source);
  const int64_t head_dim = model.config["head_dim"], depth = model.config["num_hidden_layers"];
  const bool predicts = directory.config.contains(architecture + ".nextn_predict_layers");
  if (predicts) log_info("[gguf] {}: the layers that predict further tokens are left out", source);
  model.weights = stored
                      .changed([&](const StoredTensor& tensor) {
                        if (habits.interleaved_heads && is_rotated(tensor.name))
                          return with_separate_halves(tensor, head_dim, source);
                        if (habits.norms_with_one && is_norm_with_one(tensor.name))
                          return with_numbers(tensor, source, [](float x) { return x - 1; });
                        if (tensor.name.ends_with(".ssm_a"))
                          return with_numbers(tensor, source, [](float x) { return std::log(-x); });
                        if (tensor.name.ends_with(".ssm_conv1d.weight")) return as_convolution(tensor);
                        return tensor;
                      })
                      .renamed([&](std::string_view name) {
                        if (name.starts_with("rope_f") || (predicts && is_behind(name, depth))) return std::string();
                        return huggingface_name(architecture, name);
                      });
  return model;
}

}  // namespace tessera::lm
