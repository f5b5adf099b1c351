// Directories of larger models (Qwen3.5 with its vision tower) of which the language model alone is read: its part of config.json, and
// its tensors under the names that it has alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "tensor/weight_source.h"

namespace tessera::lm {

/// The model_types of such directories.
std::vector<std::string> composite_model_types();

/// The config.json that the language model would have alone; `tree` itself where it is one. `source` names the file. Throws UserError
/// where the part is missing.
Json language_config(const Json& tree, std::string_view source);

/// The tensors of the language model; `stored` itself where `tree`, its config.json, is of a model without other parts. Says how many
/// tensors of which parts are left out.
WeightSource language_weights(const WeightSource& stored, const Json& tree);

}  // namespace tessera::lm
