// What makes a folder a model.
#include "tensor/model_dir.h"

#include <algorithm>

#include "core/error.h"
#include "tensor/weight_source.h"

namespace tessera {

namespace fs = std::filesystem;

namespace {

/// The directory's own weights; those of its parts (llm/, vision_tower/, ...) when it has none itself.
std::vector<Path> all_weight_files(const Path& directory) {
  std::vector<Path> parts, files;
  if (!holds_weights(directory)) {
    for (const auto& entry : fs::directory_iterator(directory)) {
      if (entry.is_directory() && fs::exists(entry.path() / "config.json") && holds_weights(entry.path()))
        parts.push_back(entry.path());
    }
  }
  if (parts.empty()) return weight_files(directory);
  std::sort(parts.begin(), parts.end());
  for (const Path& part : parts) {
    const std::vector<Path> own = weight_files(part);
    files.insert(files.end(), own.begin(), own.end());
  }
  return files;
}

}  // namespace

ModelDirectory read_model_directory(const Path& directory) {
  if (!fs::exists(directory)) throw UserError("[model] {} does not exist, want a model directory", directory.string());
  if (!fs::is_directory(directory)) throw UserError("[model] {} is a file, want a model directory", directory.string());
  if (fs::is_empty(directory)) throw UserError("[model] {} is empty, want a model directory", directory.string());
  ModelDirectory model{.path = directory};
  if (!fs::exists(model.config_path()))
    throw UserError("[model] {} has no config.json; it is not a model directory", directory.string());

  model.config = read_json_file(model.config_path());
  const auto type = model.config.is_object() ? model.config.find("model_type") : model.config.end();
  if (!model.config.is_object() || type == model.config.end() || !type->is_string()) {
    throw UserError("[model] {}: no 'model_type', which says what kind of model this is", model.config_path().string());
  }
  model.model_type = type->get<std::string>();
  model.weight_files = all_weight_files(directory);
  return model;
}

}  // namespace tessera
