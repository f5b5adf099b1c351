// Released sizes by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/lm/config.h"

namespace tessera::lm {

/// A released model's shape and how many parameters it has, tied embeddings counted once.
struct Preset {
  std::string name;
  LmConfig config;
  int64_t parameters;
};

const std::vector<Preset>& presets();
/// Throws UserError that names the nearest preset.
const LmConfig& preset(std::string_view name);

}  // namespace tessera::lm
