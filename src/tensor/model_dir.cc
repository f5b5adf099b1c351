// What makes a folder a model.
#include "tensor/model_dir.h"

#include "core/error.h"
#include "tensor/stored_tensors.h"

namespace tessera {

namespace fs = std::filesystem;

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
  model.weight_files = weight_files(directory);
  return model;
}

}  // namespace tessera
