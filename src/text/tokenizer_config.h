// tokenizer_config.json, special_tokens_map.json and added_tokens.json: which tokens begin, end and pad, and tokens added beside the
// vocabulary. What must stay true: the same tokens are special, under the same ids, as in transformers' PreTrainedTokenizerFast.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/files.h"
#include "text/added_tokens.h"
#include "text/loose_json.h"

namespace tessera::text {

struct TokenizerConfig {
  std::optional<std::string> begin, end, pad, unknown;
  std::optional<bool> add_begin, add_end;  // add_bos_token, add_eos_token
  std::string tokenizer_class;
  int64_t extra_ids = 100;               // sentinels of T5's tokenizer
  std::vector<AddedToken> added;         // added_tokens_decoder, by id
  std::vector<AddedToken> legacy_added;  // added_tokens.json, by id; tokens that tokenizer.json adds go before them
  /// Special tokens by their names, in the order in which those that the vocabulary lacks get ids: bos_token, eos_token, ..., then other
  /// keys that end with _token, then lists of further ones. Their ids mean nothing.
  std::vector<AddedToken> named;
  std::vector<std::pair<std::string, std::string>> names;  // "bos_token": its content, of all that have a name

  bool has_name(std::string_view content) const {
    return std::ranges::any_of(names, [&](const auto& each) { return each.second == content; });
  }
};

/// Reads the files of a directory; all empty when there are none. special_tokens_map.json and added_tokens.json count where
/// tokenizer_config.json has no added_tokens_decoder, and then go before it. Throws UserError when one is damaged.
TokenizerConfig read_tokenizer_config(const Path& directory);

/// One entry of added_tokens (with its "id") or added_tokens_decoder (the id is its key).
AddedToken read_added_token(const LooseJson& tree, int32_t id, const std::string& source);

}  // namespace tessera::text
