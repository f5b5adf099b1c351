// config.json of released language models, in and out. Families are rows of a table here; what they come to is an
// LmConfig.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "models/lm/config.h"

namespace tessera::lm {

/// The model_types that can be read: gemma, gemma2, llama, olmo2, qwen2.
std::vector<std::string> supported_families();

/// What a Hugging Face config.json says, keys of old and new transformers alike. `source` names the file. Throws
/// UserError for an unsupported family, activation, rotary type or mixture of experts (each lists what is supported),
/// and for missing keys and values of the wrong type.
LmConfig config_from_json(const Json& tree, std::string_view source);

/// The config.json that transformers and config_from_json read as this config; without dtype and token ids. Throws
/// UserError when the family cannot express it.
Json config_json(const LmConfig& config);

}  // namespace tessera::lm
