// What a model's publisher says of generating with it: generation_config.json and the end tokens of config.json.
#pragma once

#include <cstdint>
#include <vector>

#include "core/files.h"
#include "core/json.h"
#include "generate/token_sampling.h"

namespace tessera::lm {

struct GenerationDefaults {
  generate::TokenSampling sampling;  // greedy where the files do not say do_sample
  std::vector<int32_t> end_tokens;   // of both files, each once
};

/// `config`: the contents of config.json. Keys that Tessera does not know are passed over, as in the reference.
/// Throws UserError for a file that is no JSON and for values of a wrong type or out of range.
GenerationDefaults generation_defaults(const Path& directory, const Json& config);

}  // namespace tessera::lm
