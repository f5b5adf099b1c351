// Directories of decoder language models: released ones as they are, and our own, which transformers reads too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "models/lm/architecture/module.h"
#include "tensor/model_dir.h"
#include "tensor/weights.h"

namespace tessera::lm {

struct LoadLmOptions {
  at::Device device = at::kCPU;
  /// "fp32", "bf16", or "auto": as stored, but fp16 runs as fp32 on the CPU.
  std::string dtype = "auto";
  /// As in LoadOptions (models/registry.h).
  bool exact = true;
  /// The weights will be written into (training): copies instead of views of the files.
  bool writable = false;
  /// Refuse NaN and infinite weights. Reads the files once.
  bool check_numbers = true;
};

/// The model of a directory with config.json and weights, sharded or not, or of a GGUF file; the directory's adapters are merged. Throws UserError for what is no such
/// directory, an unsupported config, missing shards, tensors that are missing or of another shape, and unsound numbers.
DecoderLm load_lm(const ModelDirectory& directory, const LoadLmOptions& options = {});
inline DecoderLm load_lm(const Path& directory, const LoadLmOptions& options = {}) {
  return load_lm(read_model_directory(directory), options);
}
/// The same with a config of its own (a part of a larger model's config.json) and weights already opened, which belong to the
/// language model alone. `directory` is where config.json is, for messages.
DecoderLm load_lm(const Json& config, const WeightSource& stored, const Path& directory, const LoadLmOptions& options);

struct SaveLmOptions {
  StoredAs stored_as = StoredAs::bf16;
  std::optional<int32_t> begin_token = {}, pad_token = {};
  std::vector<int32_t> end_tokens = {};
  /// Further keys of generation_config.json: "temperature", "top_p", ...
  Json generation = Json::object();
};

/// Writes config.json, generation_config.json and model.safetensors. Throws as save_tensors() and config_json() do.
void save_lm(const Path& directory, const DecoderLm& model, const SaveLmOptions& options = {},
             FileSystem& files = disk());

}  // namespace tessera::lm
