// See quantize.cc; what the registration names.
#pragma once

#include <memory>

#include "models/quantizable.h"
#include "tensor/model_dir.h"

namespace tessera::liquid {

/// Loads a directory of either layout for packing. Throws UserError for one that is packed already.
std::unique_ptr<Quantizable> load_for_packing(const ModelDirectory& directory, at::Device device);

}  // namespace tessera::liquid
