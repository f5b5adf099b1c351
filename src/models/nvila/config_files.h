// The config files of both checkpoint layouts. Legacy: config.json beside llm/, vision_tower/ and mm_projector/, each with its
// own. Flat ("-hf"): one config.json with text_config and vision_config. What a flat one leaves out is what its model_type means.
#pragma once

#include "core/files.h"
#include "core/json.h"
#include "models/nvila/config.h"

namespace tessera::nvila {

/// Weights and tokenizer in subdirectories.
bool is_legacy(const Path& directory);
/// Where the tokenizer's files are.
Path tokenizer_directory(const Path& directory);

/// The language model's own config, in either layout.
Json text_config_json(const Path& directory);

/// Throws UserError that names the file and the key for what is missing, of another type or not supported.
NvilaConfig read_config(const Path& directory);
/// The same for the text of a flat config.json; `source` names it in errors.
NvilaConfig flat_config(const Json& tree, const std::string& source);
/// A flat config.json that read_config() reads back, `model_type` with it. Names are those of the releases; a tower is stored
/// without the blocks that its feature does not go through.
Json flat_config_json(const NvilaConfig& config);

}  // namespace tessera::nvila
