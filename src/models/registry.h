// From a model directory to a loaded model. The only place that looks at a model's name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <c10/core/Device.h>

#include "core/files.h"
#include "models/capabilities.h"

namespace tessera {

/// A model in memory; its capabilities are null where it has them not.
class LoadedModel {
 public:
  virtual ~LoadedModel() = default;
  virtual std::string model_type() const = 0;
  virtual const Draws* draws() const { return nullptr; }
  virtual const Writes* writes() const { return nullptr; }
  virtual const Sees* sees() const { return nullptr; }
};

/// How a model is held in memory.
struct LoadOptions {
  std::string dtype = "auto";  // of the weights: "auto" (as stored; fp16 becomes fp32 on the CPU), "fp32" or "bf16"
  bool cache_int8 = false;     // keys and values of text models in 8 bits
};

/// Loads by the `model_type` in config.json. Throws UserError for a directory that is no model, an unknown type (naming
/// the known ones), and for everything that the model's own loader refuses.
std::unique_ptr<LoadedModel> load_model(const Path& directory, at::Device device, const LoadOptions& options = {});

/// The model types that can be loaded.
std::vector<std::string> loadable_model_types();

}  // namespace tessera
