// One line per model type.
#include "models/registry.h"

#include <map>

#include <fmt/ranges.h>

#include "core/error.h"
#include "models/infinity/draw.h"
#include "models/lm/architecture/config.h"
#include "models/lm/text/writes.h"
#include "models/nvila/sees.h"
#include "tensor/model_dir.h"

namespace tessera {

namespace {
using Loader = std::unique_ptr<LoadedModel> (*)(const Path&, at::Device, const LoadOptions&);

std::unique_ptr<LoadedModel> load_infinity(const Path& directory, at::Device device, const LoadOptions&) {
  return infinity::load_drawing_model(directory, device);
}

const std::map<std::string, Loader>& loaders() {
  static const std::map<std::string, Loader> table = [] {
    std::map<std::string, Loader> all = {{infinity::model_type, load_infinity}};
    for (const std::string& family : lm::supported_families()) all[family] = lm::load_lm_model;
    for (const char* type : nvila::model_types) all[type] = nvila::load_seeing_model;
    return all;
  }();
  return table;
}
}  // namespace

std::unique_ptr<LoadedModel> load_model(const Path& directory, at::Device device, const LoadOptions& options) {
  const ModelDirectory found = read_model_directory(directory);
  const auto loader = loaders().find(found.model_type);
  if (loader == loaders().end()) {
    throw UserError("[model] {} has model_type '{}', want one of: {}", directory.string(), found.model_type,
                    fmt::join(loadable_model_types(), ", "));
  }
  return loader->second(directory, device, options);
}

std::vector<std::string> loadable_model_types() {
  std::vector<std::string> names;
  for (const auto& [name, loader] : loaders()) names.push_back(name);
  return names;
}

}  // namespace tessera
