// The published sizes by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/infinity/config.h"

namespace tessera::infinity {

/// A size of the published table and what it says of its parameters.
struct Preset {
  std::string name;
  InfinityConfig config;
  double published_parameters;  // as printed, three or four digits
};

const std::vector<Preset>& presets();
/// Throws UserError that names the nearest preset.
const InfinityConfig& preset(std::string_view name);

}  // namespace tessera::infinity
