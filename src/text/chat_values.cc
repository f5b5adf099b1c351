// See chat_values.h.
#include "text/chat_values.h"

#include <algorithm>

#include "text/unicode.h"

namespace tessera::text {

namespace {
using jinja::Budget;
using jinja::Dict;
using jinja::MarkedText;
using jinja::Origin;
using jinja::Value;

/// Roles are chosen from a list, not typed: templates build control tokens out of them. Any other role counts as typed.
bool is_known_role(std::string_view role) {
  constexpr std::string_view roles[] = {"system",   "user",    "assistant", "tool",        "developer",
                                        "function", "ipython", "model",     "observation", "environment"};
  return std::ranges::find(roles, role) != std::ranges::end(roles);
}

Value data_text(const std::string& words, Origin origin, Budget& budget) {
  return jinja::make_text(MarkedText::anchored(to_utf8(words), origin), budget);
}

Value part(std::string_view type, Budget& budget, const Value* text = nullptr) {
  Dict made;
  made.set(jinja::make_text("type", budget), jinja::make_text(type, budget));
  if (text != nullptr) made.set(jinja::make_text("text", budget), *text);
  return jinja::make_dict(std::move(made), budget);
}

Value content_of(const Message& message, Origin origin, ContentForm form, Budget& budget) {
  const Value text = data_text(message.content, origin, budget);
  if (form == ContentForm::text) return text;
  std::vector<Value> parts;
  for (int64_t i = 0; i < message.media; ++i) parts.push_back(part("image", budget));
  parts.push_back(part("text", budget, &text));
  return jinja::make_list(std::move(parts), budget);
}

Value message_value(const Message& message, Origin origin, ContentForm form, Budget& budget) {
  Dict made;
  const auto name = [&](const char* key) { return jinja::make_text(key, budget); };
  const Json none = Json::object();
  const Json& extra = message.extra.is_object() ? message.extra : none;
  // transformers fills these names for reasoning from each other
  Json reasoning;
  for (const char* key : {"reasoning_content", "thinking", "reasoning"}) {
    if (reasoning.is_null() && extra.contains(key)) reasoning = extra[key];
  }
  if (!reasoning.is_null()) made.set(name("thinking"), jinja::from_json(reasoning, origin, budget));
  made.set(name("role"), is_known_role(message.role) ? jinja::make_text(message.role, budget)
                                                     : data_text(message.role, origin, budget));
  const bool replaced = extra.contains("content");
  if (!replaced) made.set(name("content"), content_of(message, origin, form, budget));
  for (const auto& [key, value] : extra.items()) {
    if (key == "role" || value.is_null()) continue;
    made.set(data_text(key, origin, budget), jinja::from_json(value, origin, budget));
  }
  if (!reasoning.is_null()) made.set(name("reasoning_content"), jinja::from_json(reasoning, origin, budget));
  return jinja::make_dict(std::move(made), budget);
}
/// About how many bytes a tree takes as text, without what is nested too deep to be given to a template.
size_t size_of(const Json& tree, int depth) {
  if (tree.is_string()) return tree.get_ref<const std::string&>().size() + 2;
  size_t bytes = 8;
  if (depth > jinja::deepest_value) return bytes;
  if (tree.is_array()) {
    for (const Json& item : tree) bytes += size_of(item, depth + 1);
  }
  if (tree.is_object()) {
    for (const auto& [key, item] : tree.items()) bytes += key.size() + 4 + size_of(item, depth + 1);
  }
  return bytes;
}
}  // namespace

jinja::Limits limits_for(const std::vector<Message>& messages, const TemplateInputs& inputs) {
  size_t bytes = size_of(inputs.tools, 0) + size_of(inputs.documents, 0);
  for (const Message& message : messages) bytes += message.content.size() + 200 + size_of(message.extra, 0);
  jinja::Limits limits;
  limits.bytes += static_cast<int64_t>(bytes) * 256;
  limits.steps += static_cast<int64_t>(bytes) * 16;
  return limits;
}

jinja::Variables chat_variables(const std::vector<Message>& messages, const TemplateInputs& inputs,
                                const SpecialTokens& special_tokens, bool add_generation_prompt, ContentForm form,
                                Budget& budget) {
  const Origin data{.source = Origin::from_data};
  std::vector<Value> turns;
  for (size_t i = 0; i < messages.size(); ++i)
    turns.push_back(message_value(messages[i], {.source = static_cast<int32_t>(i)}, form, budget));
  jinja::Variables variables;
  for (const auto& [name, token] : special_tokens) variables.emplace_back(name, jinja::make_text(token, budget));
  for (const auto& [name, value] : inputs.arguments.items()) {
    std::erase_if(variables, [&](const auto& known) { return known.first == name; });
    variables.emplace_back(name, jinja::from_json(value, data, budget));
  }
  variables.emplace_back("messages", jinja::make_list(std::move(turns), budget));
  variables.emplace_back("tools", jinja::from_json(inputs.tools, data, budget));
  variables.emplace_back("documents", jinja::from_json(inputs.documents, data, budget));
  variables.emplace_back("add_generation_prompt", add_generation_prompt);
  return variables;
}

}  // namespace tessera::text
