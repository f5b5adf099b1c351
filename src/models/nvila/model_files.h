// A model directory in either layout: config, weights, tokenizer. Saved in the flat one.
#pragma once

#include <string>

#include "core/files.h"
#include "core/json.h"
#include "models/nvila/config.h"
#include "models/nvila/module.h"
#include "tensor/model_dir.h"
#include "tensor/weights.h"

namespace tessera::nvila {

/// Weights and tokenizer in subdirectories.
bool is_legacy(const Path& directory);
/// Where the tokenizer's files are.
Path tokenizer_directory(const Path& directory);

/// What the config files of a directory of either layout say, each read once.
struct StoredConfig {
  NvilaConfig config;
  Json text;  // the language model's own config.json
};
/// Throws UserError that names the file and the key for what is missing, of another type or not supported.
StoredConfig read_config(const ModelDirectory& directory);
/// The same for the text of a flat config.json; `source` names it in errors.
NvilaConfig flat_config(const Json& tree, const std::string& source);
/// A flat config.json that read_config() reads back, `model_type` with it. Names are those of the releases; a tower is stored
/// without the blocks that its feature does not go through.
Json flat_config_json(const NvilaConfig& config);

inline constexpr const char* model_type = "nvila";
/// As the releases call themselves: the flat layout's two, and the legacy one's.
inline constexpr const char* model_types[] = {model_type, "nvila_lite", "llava_llama", "llava_qwen2", "vila"};

struct WeightOptions {
  std::string dtype = "fp32";  // "fp32", "bf16", or "auto": as stored, but fp16 runs as fp32 on the CPU
  bool writable = true;        // to be trained; otherwise weights may be views of the files
};

/// Weights and config. Tensors that NVILA has no use for (the tower's pooling head, its last norm and blocks beyond the
/// feature) are passed over. Throws UserError for missing shards, and for tensors that are missing, unexpected or of another shape.
NvilaModel load_weights(const ModelDirectory& directory, const StoredConfig& stored, at::Device device,
                        const WeightOptions& options = {});
/// The same, with the config read on the way.
NvilaModel load_weights(const Path& directory, at::Device device, const WeightOptions& options = {});

/// config.json and model.safetensors in the flat layout; the tokenizer's files come from `tokenizer`, a directory, unless that is
/// empty or `directory` itself.
void save_model(const NvilaModel& model, StoredAs stored, const Path& directory, const Path& tokenizer = {},
                FileSystem& files = disk());

/// Throws UserError when the tokenizer has words without a row in the embedding. Media tokens need none.
void require_same_words(const NvilaConfig& config, const text::Tokenizer& tokenizer, const Path& directory);

}  // namespace tessera::nvila
