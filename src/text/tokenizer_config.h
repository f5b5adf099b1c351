// tokenizer_config.json: which tokens begin, end and pad, and tokens added beside the vocabulary.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/files.h"
#include "text/added_tokens.h"
#include "text/loose_json.h"

namespace tessera::text {

struct TokenizerConfig {
  std::optional<std::string> begin, end, pad, unknown;
  std::optional<bool> add_begin, add_end;  // add_bos_token, add_eos_token
  std::string tokenizer_class;
  int64_t extra_ids = 100;        // sentinels of T5's tokenizer
  std::vector<AddedToken> added;  // added_tokens_decoder, by id
};

/// Reads DIRECTORY/tokenizer_config.json; all empty when there is none. Throws UserError when it is damaged.
TokenizerConfig read_tokenizer_config(const Path& directory);

/// One entry of added_tokens (with its "id") or added_tokens_decoder (the id is its key).
AddedToken read_added_token(const LooseJson& tree, int32_t id, const std::string& source);

}  // namespace tessera::text
