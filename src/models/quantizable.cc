// The models that can be packed, by the model_type of their directories.
#include "models/quantizable.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "core/error.h"
#include "models/lm/architecture/config.h"
#include "models/lm/architecture/quantize.h"
#include "models/nvila/model_files.h"
#include "models/nvila/quantize.h"
#include "tensor/model_dir.h"

namespace tessera {

std::unique_ptr<Quantizable> load_quantizable(const Path& directory, at::Device device) {
  const ModelDirectory found = read_model_directory(directory);
  const std::vector<std::string> families = lm::supported_families();
  if (std::find(families.begin(), families.end(), found.model_type) != families.end())
    return lm::load_quantizable(directory, device);
  for (const char* type : nvila::model_types) {
    if (found.model_type == type) return nvila::load_quantizable(directory, device);
  }
  throw UserError("[model] {} has model_type '{}', want one that can be packed: nvila, {}", directory.string(),
                  found.model_type, fmt::join(families, ", "));
}

}  // namespace tessera
