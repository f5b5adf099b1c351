// See tokenizer_config.h.
#include "text/tokenizer_config.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"

namespace tessera::text {

namespace {
/// The content of a token that has a name.
std::optional<std::string> name_in(const TokenizerConfig& config, std::string_view name) {
  for (const auto& [key, content] : config.names) {
    if (key == name) return content;
  }
  return std::nullopt;
}

/// The object in a file; an empty one when there is no such file.
LooseJson object_in(const Path& path) {
  if (!std::filesystem::exists(path)) return LooseJson::object();
  LooseJson tree = read_loose_json(path);
  if (!tree.is_object()) throw UserError("[text] {}: holds {}, want an object", path.string(), shown(tree));
  return tree;
}

/// special_tokens_map.json over tokenizer_config.json; lists of extra tokens are joined.
void merge_special_tokens(const LooseJson& map, LooseJson& tree) {
  for (const auto& [key, value] : map.items()) {
    LooseJson& place = tree[key];
    if (key == "extra_special_tokens" && value.is_array() && place.is_array())
      place.insert(place.end(), value.begin(), value.end());
    else place = value;
  }
}

/// A special token, written as a text or as an object with flags.
AddedToken named_token(const LooseJson& value, const std::string& key, const std::string& source) {
  if (value.is_string()) return {.content = value.get<std::string>(), .special = true, .normalized = false};
  if (!value.is_object() || !member(value, "content").is_string())
    throw UserError("[text] {}: '{}' is {}, want a token", source, key, shown(value));
  LooseJson tree = value;
  tree["special"] = true;
  return read_added_token(tree, 0, source);
}

void read_named(const LooseJson& tree, const std::string& source, TokenizerConfig& config) {
  const std::vector<std::string> standard = {"bos_token", "eos_token", "unk_token", "sep_token",
                                             "pad_token", "cls_token", "mask_token"};
  const auto add = [&](const std::string& key, const LooseJson& value) {
    if (value.is_null()) return;
    AddedToken token = named_token(value, key, source);
    config.names.emplace_back(key, token.content);
    config.named.push_back(std::move(token));
  };
  for (const std::string& key : standard) add(key, member(tree, key.c_str()));
  for (const auto& [key, value] : tree.items()) {
    const bool known = std::ranges::find(standard, key) != standard.end();
    if (!known && key.ends_with("_token") && (value.is_string() || !member(value, "content").is_null()))
      add(key, value);
  }
  const LooseJson& extra = member(tree, "extra_special_tokens");
  const LooseJson& further = extra.is_null() || extra.empty() ? member(tree, "additional_special_tokens") : extra;
  if (further.is_object()) {
    for (const auto& [key, value] : further.items()) add(key, value);
  } else if (further.is_array()) {
    for (const LooseJson& value : further) config.named.push_back(named_token(value, "extra_special_tokens", source));
  } else if (!further.is_null()) {
    throw UserError("[text] {}: 'extra_special_tokens' is {}, want a list of tokens", source, shown(further));
  }
  config.begin = name_in(config, "bos_token");
  config.end = name_in(config, "eos_token");
  config.pad = name_in(config, "pad_token");
  config.unknown = name_in(config, "unk_token");
}

void read_added_decoder(const LooseJson& added, const std::string& source, TokenizerConfig& config) {
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
  std::ranges::sort(config.added, {}, &AddedToken::id);
}

/// {"<tool>": 262, ...}; special where they have a name.
void read_legacy_added(const Path& path, TokenizerConfig& config) {
  const LooseJson tree = object_in(path);
  for (const auto& [content, id] : tree.items()) {
    const bool special = std::ranges::find(config.named, content, &AddedToken::content) != config.named.end();
    config.legacy_added.push_back(
        {.content = content, .id = token_id(id, path.string()), .special = special, .normalized = !special});
  }
  std::ranges::sort(config.legacy_added, {}, &AddedToken::id);
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
  const Path path = directory / "tokenizer_config.json", map_path = directory / "special_tokens_map.json";
  const std::string source = path.string();
  LooseJson tree = object_in(path);
  config.add_begin = maybe_flag(tree, "add_bos_token", source);
  config.add_end = maybe_flag(tree, "add_eos_token", source);
  config.tokenizer_class = words(tree, "tokenizer_class", "", source);
  if (const LooseJson& extra = member(tree, "extra_ids"); !extra.is_null()) config.extra_ids = token_id(extra, source);
  const bool lists_added = !member(tree, "added_tokens_decoder").is_null();
  if (!lists_added) merge_special_tokens(object_in(map_path), tree);
  read_named(tree, source, config);
  if (lists_added) read_added_decoder(member(tree, "added_tokens_decoder"), source, config);
  else read_legacy_added(directory / "added_tokens.json", config);
  return config;
}

}  // namespace tessera::text
