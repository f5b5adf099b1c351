// One line per model type.
#include "models/registry.h"

#include <map>

#include <fmt/ranges.h>

#include "core/error.h"
#include "models/infinity/draw.h"
#include "tensor/model_dir.h"

namespace tessera {

namespace {
using Loader = std::unique_ptr<LoadedModel> (*)(const Path&, at::Device);

const std::map<std::string, Loader>& loaders() {
  static const std::map<std::string, Loader> table = {
      {infinity::model_type, infinity::load_drawing_model},
  };
  return table;
}
}  // namespace

std::unique_ptr<LoadedModel> load_model(const Path& directory, at::Device device) {
  const ModelDirectory found = read_model_directory(directory);
  const auto loader = loaders().find(found.model_type);
  if (loader == loaders().end()) {
    throw UserError("[model] {} has model_type '{}', want one of: {}", directory.string(), found.model_type,
                    fmt::join(loadable_model_types(), ", "));
  }
  return loader->second(directory, device);
}

std::vector<std::string> loadable_model_types() {
  std::vector<std::string> names;
  for (const auto& [name, loader] : loaders()) names.push_back(name);
  return names;
}

}  // namespace tessera
