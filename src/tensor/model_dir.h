// A model directory, Hugging Face style: config.json with `model_type`, weights as safetensors, tokenizer files.
// Stands on no LibTorch: `tessera inspect` reads it.
#pragma once

#include <string>
#include <vector>

#include "core/files.h"
#include "core/json.h"

namespace tessera {

struct ModelDirectory {
  Path path;
  std::string model_type;  // of config.json
  Json config;             // the whole of config.json
  std::vector<Path>
      weight_files;  // model.safetensors or its shards; those of its parts where a model is stored in several

  Path config_path() const { return path / "config.json"; }
};

/// Looks at a directory; the weights are found but not opened. Throws UserError that names what is missing when it is
/// not there, is a file, is empty, or has no valid config.json, no model_type or no weights.
ModelDirectory read_model_directory(const Path& directory);

}  // namespace tessera
