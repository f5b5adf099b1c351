// An NVILA model as packing wants it: its language model in 4 bits, its tower in 8.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/nvila/module.h"
#include "models/quantizable.h"
#include "tensor/model_dir.h"

namespace tessera::nvila {

/// The linear layers of the tower's blocks, by what they read. Smoothing has a norm to fold into before queries, keys
/// and values and before the first feed-forward layer; the other two are rounded as they are.
std::vector<quant::SharedInput> shared_inputs(VisionTower& tower, const std::string& prefix = "");

/// Loads a directory of either layout for packing. Throws UserError for one that is packed already.
std::unique_ptr<Quantizable> load_for_packing(const ModelDirectory& directory, at::Device device);

}  // namespace tessera::nvila
