// See tokenizer_config.h.
#include "text/tokenizer_config.h"

#include <charconv>

#include "core/error.h"

namespace tessera::text {

namespace {
/// A token as a text, or as an object with its content.
std::optional<std::string> token_name(const LooseJson& tree, const char* key, const std::string& source) {
  const LooseJson& value = member(tree, key);
  if (value.is_null()) return std::nullopt;
  const LooseJson& name = value.is_object() ? member(value, "content") : value;
  if (!name.is_string()) throw UserError("[text] {}: '{}' is {}, want a token", source, key, shown(value));
  return name.get<std::string>();
}

std::optional<bool> maybe_flag(const LooseJson& tree, const char* key, const std::string& source) {
  if (member(tree, key).is_null()) return std::nullopt;
  return flag(tree, key, false, source);
}
}  // namespace

AddedToken read_added_token(const LooseJson& tree, int32_t id, const std::string& source) {
  if (!member(tree, "content").is_string())
    throw UserError("[text] {}: an added token is {}, want an object with its content", source, shown(tree));
  const bool special = flag(tree, "special", false, source);
  return {.content = words(tree, "content", "", source),
          .id = id,
          .special = special,
          .lstrip = flag(tree, "lstrip", false, source),
          .rstrip = flag(tree, "rstrip", false, source),
          .single_word = flag(tree, "single_word", false, source),
          .normalized = flag(tree, "normalized", !special, source)};
}

TokenizerConfig read_tokenizer_config(const Path& directory) {
  TokenizerConfig config;
  const Path path = directory / "tokenizer_config.json";
  if (!std::filesystem::exists(path)) return config;
  const std::string source = path.string();
  const LooseJson tree = read_loose_json(path);
  if (!tree.is_object()) throw UserError("[text] {}: holds {}, want an object", source, shown(tree));
  config.begin = token_name(tree, "bos_token", source);
  config.end = token_name(tree, "eos_token", source);
  config.pad = token_name(tree, "pad_token", source);
  config.unknown = token_name(tree, "unk_token", source);
  config.add_begin = maybe_flag(tree, "add_bos_token", source);
  config.add_end = maybe_flag(tree, "add_eos_token", source);
  config.tokenizer_class = words(tree, "tokenizer_class", "", source);
  if (const LooseJson& extra = member(tree, "extra_ids"); !extra.is_null()) config.extra_ids = token_id(extra, source);
  const LooseJson& added = member(tree, "added_tokens_decoder");
  if (added.is_null()) return config;
  if (!added.is_object())
    throw UserError("[text] {}: 'added_tokens_decoder' is {}, want an object of ids", source, shown(added));
  for (const auto& [key, token] : added.items()) {
    int32_t number = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
    const bool whole = error == std::errc() && end == key.data() + key.size();
    const int32_t id =
        token_id(whole ? LooseJson(number) : LooseJson(key), source);  // refuses what is no id as written
    config.added.push_back(read_added_token(token, id, source));
  }
  return config;
}

}  // namespace tessera::text
