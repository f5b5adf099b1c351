// The chat template and the special tokens stored in a tokenizer's directory.
#include <algorithm>

#include "core/error.h"
#include "core/text_file.h"
#include "text/chat_template.h"
#include "text/loose_json.h"
#include "text/named_templates.h"
#include "text/tokenizer_config.h"

namespace tessera::text {

namespace {
/// A text, or a list of texts with names of which "default" and "tool_use" count.
StoredTemplates templates_in(const LooseJson& tree, const std::string& source) {
  StoredTemplates found;
  const LooseJson& stored = member(tree, "chat_template");
  if (stored.is_null()) return found;
  if (!stored.is_array()) {
    found.usual = words(tree, "chat_template", "", source);
    return found;
  }
  for (const LooseJson& one : stored) {
    const std::string name = words(one, "name", "", source);
    if (name == "default") found.usual = words(one, "template", "", source);
    if (name == "tool_use") found.tools = words(one, "template", "", source);
  }
  if (found.usual.empty())
    throw UserError("[text] {}: chat_template is a list, but none of it is named 'default'", source);
  return found;
}

SpecialTokens special_tokens_in(const Path& directory) {
  SpecialTokens tokens;
  for (const auto& [name, content] : read_tokenizer_config(directory).names) tokens.emplace_back(name, content);
  const Path path = directory / "special_tokens_map.json";
  if (!std::filesystem::exists(path)) return tokens;
  const LooseJson tree = read_loose_json(path);
  for (const char* name :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    const LooseJson& value = member(tree, name);
    const LooseJson& token = value.is_object() ? member(value, "content") : value;
    const bool known = std::ranges::find(tokens, name, &SpecialTokens::value_type::first) != tokens.end();
    if (token.is_string() && !known) tokens.emplace_back(name, token.get<std::string>());
  }
  return tokens;
}
}  // namespace

/// chat_template.jinja beats the others, as in transformers; more templates may lie in additional_chat_templates.
StoredTemplates stored_templates(const Path& directory) {
  const auto file = [&](const Path& path) { return std::filesystem::exists(path) ? read_file(path) : std::string(); };
  StoredTemplates found{file(directory / "chat_template.jinja"),
                        file(directory / "additional_chat_templates" / "tool_use.jinja")};
  for (const char* name : {"chat_template.json", "tokenizer_config.json"}) {
    const Path path = directory / name;
    if (!found.usual.empty() || !std::filesystem::exists(path)) continue;
    found = templates_in(read_loose_json(path), path.string());
  }
  return found;
}

SpecialTokens special_tokens_of(const Tokenizer& tokenizer) {
  SpecialTokens tokens;
  const auto add = [&](const char* name, std::optional<int32_t> id) {
    if (id) tokens.emplace_back(name, tokenizer.token_of(*id));
  };
  add("bos_token", tokenizer.begin_token());
  add("eos_token", tokenizer.end_token());
  add("pad_token", tokenizer.pad_token());
  return tokens;
}

ChatTemplate ChatTemplate::given(const std::string& name_or_file, SpecialTokens special_tokens) {
  const Path path = name_or_file;
  std::error_code none;
  if (std::filesystem::is_directory(path, none)) return of(path);
  if (!std::filesystem::is_regular_file(path, none)) {
    if (name_or_file.find('/') == std::string::npos && !path.has_extension()) return named(name_or_file);
    throw UserError("[text] the chat template {} is no file; want a file, or one of: {}", name_or_file,
                    template_names());
  }
  const std::string source = read_text(path, "text"), where = "the chat template in " + name_or_file;
  if (!is_of_kind(path, {".json"})) return ChatTemplate(source, std::move(special_tokens), where);
  const StoredTemplates stored = templates_in(parse_loose_json(source, name_or_file), name_or_file);
  if (stored.usual.empty()) throw UserError("[text] {} holds no chat_template", name_or_file);
  ChatTemplate found(stored.usual, std::move(special_tokens), where);
  if (!stored.tools.empty()) found.with_tool_template(stored.tools);
  return found;
}

ChatTemplate ChatTemplate::of(const Path& directory) {
  const StoredTemplates stored = stored_templates(directory);
  if (stored.usual.empty())
    throw UserError(
        "[text] {} stores no chat template; give one as --chat-template (model.chat_template in a recipe), a file or "
        "one of: {}",
        directory.string(), template_names());
  ChatTemplate found(stored.usual, special_tokens_in(directory), "the chat template of " + directory.string());
  if (!stored.tools.empty()) found.with_tool_template(stored.tools);
  return found;
}

}  // namespace tessera::text
