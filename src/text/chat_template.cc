// See chat_template.h. Jinja is not interpreted: a stored template is recognised by markers that distinguish the families
// apart, and the family's conversation is written here.
#include "text/chat_template.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "core/error.h"
#include "text/chat_jinja.h"
#include "text/loose_json.h"
#include "text/tokenizer_config.h"
#include "text/unicode.h"

namespace tessera::text {

namespace {
/// What the templates have in common, with their differences as fields.
struct Style {
  std::string_view name;
  bool begin_token = false;                            // bos_token first
  std::string_view before_role = "", after_role = "";  // around a role's name
  std::string_view end = "";        // the token that ends a turn; "" for the tokenizer's eos_token, assistant only
  std::string_view after_end = "";  // between turns
  bool trims = false;               // white space around a message's content is dropped
  bool system = true, alternates = false;  // may there be system turns; must user and assistant take turns
  std::string_view system_first = "";      // of a conversation that brings no system turn
};

constexpr Style styles[] = {
    {.name = "chatml", .before_role = "<|im_start|>", .after_role = "\n", .end = "<|im_end|>", .after_end = "\n"},
    {.name = "nvila",
     .before_role = "<|im_start|>",
     .after_role = "\n",
     .end = "<|im_end|>",
     .after_end = "\n",
     .system_first = "You are a helpful assistant"},
    {.name = "qwen2",
     .before_role = "<|im_start|>",
     .after_role = "\n",
     .end = "<|im_end|>",
     .after_end = "\n",
     .system_first = "You are a helpful assistant."},
    {.name = "qwen2.5",
     .before_role = "<|im_start|>",
     .after_role = "\n",
     .end = "<|im_end|>",
     .after_end = "\n",
     .system_first = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."},
    {.name = "llama3",
     .begin_token = true,
     .before_role = "<|start_header_id|>",
     .after_role = "<|end_header_id|>\n\n",
     .end = "<|eot_id|>",
     .trims = true},
    {.name = "llama3.1",
     .begin_token = true,
     .before_role = "<|start_header_id|>",
     .after_role = "<|end_header_id|>\n\n",
     .end = "<|eot_id|>",
     .trims = true},
    {.name = "gemma",
     .begin_token = true,
     .before_role = "<start_of_turn>",
     .after_role = "\n",
     .end = "<end_of_turn>",
     .after_end = "\n",
     .trims = true,
     .system = false,
     .alternates = true},
    {.name = "olmo2", .begin_token = true, .before_role = "<|", .after_role = "|>\n", .after_end = "\n"},
    {.name = "plain", .before_role = "<|", .after_role = "|>", .end = "<|end|>"},
};
constexpr std::string_view date_header = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n";

std::string known_names() {
  std::string names;
  for (const Style& style : styles) (names += names.empty() ? "" : ", ") += style.name;
  return names;
}

const Style& style_of(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(styles), std::end(styles), [&](const Style& s) { return s.name == name; });
  if (found == std::end(styles))
    throw UserError("[text] no chat template is called '{}'; known: {}", name, known_names());
  return *found;
}

/// The family of a stored template, by what it writes; nothing when it is another.
std::optional<std::string_view> recognised(std::string_view stored) {
  // a line break stands in a Jinja string as itself or as \n
  std::string jinja(stored);
  for (size_t at = jinja.find("\\n"); at != std::string::npos; at = jinja.find("\\n", at)) jinja.replace(at, 2, "\n");
  const auto has = [&](std::string_view mark) { return jinja.find(mark) != std::string::npos; };
  const auto system_says = [&](const std::string& words) { return has("<|im_start|>system\n" + words + "<|im_end|>"); };
  if (stored == plain_jinja) return "plain";
  if (has("<|im_start|>") && has("<|im_end|>")) {
    for (const char* other : {"<think>", "<|im_sep|>", "<|vision_start|>", "not loop.last"}) {
      if (has(other)) return std::nullopt;
    }
    for (const Style& style : styles) {
      if (!style.system_first.empty() && system_says(std::string(style.system_first))) return style.name;
    }
    const bool bare = !has("system") && has("message['role'] + '\n' + message['content'] + '<|im_end|>'");
    return bare ? std::optional<std::string_view>("chatml") : std::nullopt;
  }
  if (has("<|start_header_id|>") && has("<|end_header_id|>") && has("<|eot_id|>")) {
    if (has("Cutting Knowledge Date: December 2023") && has("26 Jul 2024")) return "llama3.1";
    return has("Knowledge") || has("tools") ? std::nullopt : std::optional<std::string_view>("llama3");
  }
  if (has("<start_of_turn>") && has("<end_of_turn>") && has("System role not supported")) return "gemma";
  if (has("'<|user|>\n' + message['content'] + '\n'") && has("eos_token + '\n'") && has("bos_token") && !has("<think>"))
    return "olmo2";
  return std::nullopt;
}

/// The template text stored in `directory`; of a list of named ones, the default.
std::optional<std::string> stored_template(const Path& directory) {
  if (const Path path = directory / "chat_template.jinja"; std::filesystem::exists(path)) return read_file(path);
  for (const char* file : {"chat_template.json", "tokenizer_config.json"}) {
    const Path path = directory / file;
    if (!std::filesystem::exists(path)) continue;
    const LooseJson tree = read_loose_json(path);
    const LooseJson& stored = member(tree, "chat_template");
    if (stored.is_array()) {
      for (const LooseJson& one : stored) {
        if (words(one, "name", "", path.string()) == "default") return words(one, "template", "", path.string());
      }
    }
    if (!stored.is_null()) return words(tree, "chat_template", "", path.string());
  }
  return std::nullopt;
}

/// As Python's str.strip.
std::string_view trimmed(std::string_view text) {
  const auto blank = [](char32_t c) { return is_space(c) || (c >= 0x1C && c <= 0x1F); };
  while (!text.empty() && blank(character_at(text, 0).code)) text.remove_prefix(character_at(text, 0).length);
  while (!text.empty() && blank(character_before(text, text.size()).code))
    text.remove_suffix(character_before(text, text.size()).length);
  return text;
}

/// Collects pieces, joining neighbours with the same marks.
struct Pieces {
  std::vector<ChatPiece> all;
  void control(std::string_view text, bool answer = false) {
    if (text.empty()) return;
    if (!all.empty() && all.back().control && all.back().answer == answer) all.back().text += text;
    else all.push_back({std::string(text), true, answer});
  }
  void said(std::string_view text, bool answer, int64_t media) {
    if (!text.empty() || media > 0) all.push_back({std::string(text), false, answer, media});
  }
};

void check(const Style& style, const std::vector<Message>& messages) {
  if (messages.empty()) throw UserError("[text] a conversation without messages");
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    const bool known = role == "user" || role == "assistant" || (role == "system" && style.system);
    if (!known)
      throw UserError(
          "[text] message {} has the role {}, which the template '{}' does not have; want {}user or assistant", i,
          shown(LooseJson(role)), style.name, style.system ? "system, " : "");
    if (style.alternates && (role == "user") != (i % 2 == 0))
      throw UserError("[text] message {} is the {}'s; the template '{}' wants user and assistant in turn", i, role,
                      style.name);
  }
}
}  // namespace

ChatTemplate::ChatTemplate(std::string name) : name_(std::move(name)) {
  if (name_ == "gemma") begin_ = "<bos>";
  if (name_.starts_with("llama3")) begin_ = "<|begin_of_text|>";
  if (name_ == "olmo2") begin_ = end_ = "<|endoftext|>";
}

ChatTemplate ChatTemplate::named(std::string_view name) { return ChatTemplate(std::string(style_of(name).name)); }

ChatTemplate ChatTemplate::of(const Path& directory) {
  const auto jinja = stored_template(directory);
  if (!jinja)
    throw UserError("[text] {} stores no chat template; give one by name: {}", directory.string(), known_names());
  const auto name = recognised(*jinja);
  if (!name)
    throw UserError("[text] the chat template of {} is not among the known ones; give one by name: {}",
                    directory.string(), known_names());
  ChatTemplate found{std::string(*name)};
  const TokenizerConfig config = read_tokenizer_config(directory);
  if (style_of(*name).begin_token) found.begin_ = config.begin.value_or(found.begin_);
  if (style_of(*name).end.empty()) found.end_ = config.end.value_or(found.end_);
  return found;
}

std::vector<ChatPiece> ChatTemplate::pieces(const std::vector<Message>& messages, bool add_generation_prompt) const {
  const Style& style = style_of(name_);
  check(style, messages);
  Pieces pieces;
  const auto head = [&](std::string_view role) {
    pieces.control(style.before_role);
    pieces.control(style.name == "gemma" && role == "assistant" ? "model" : role);
    pieces.control(style.after_role);
  };
  pieces.control(begin_);
  const bool own_system = messages.front().role == "system", dated = style.name == "llama3.1";
  if (!own_system && (!style.system_first.empty() || dated)) {
    head("system");
    pieces.control(dated ? date_header : style.system_first);
    pieces.control(style.end);
    pieces.control(style.after_end);
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& message = messages[i];
    const bool answer = message.role == "assistant", last = i + 1 == messages.size();
    head(message.role);
    if (dated && i == 0 && own_system) pieces.control(date_header);
    const std::string valid = to_utf8(message.content);
    pieces.said(style.trims ? trimmed(valid) : std::string_view(valid), answer, message.media);
    if (!style.end.empty() || answer) pieces.control(style.end.empty() ? std::string_view(end_) : style.end, answer);
    if (name_ != "olmo2" || !answer || !last) pieces.control(style.after_end);
  }
  if (add_generation_prompt) head("assistant");
  return pieces.all;
}

std::string ChatTemplate::render(const std::vector<Message>& messages, bool add_generation_prompt) const {
  std::string text;
  for (const ChatPiece& piece : pieces(messages, add_generation_prompt)) text += piece.text;
  return text;
}

ChatIds encode_chat(const Tokenizer& tokenizer, const std::vector<ChatPiece>& pieces) {
  ChatIds chat;
  std::vector<TextPart> parts;
  bool answer = false;
  const auto flush = [&] {
    const auto ids = tokenizer.encode_parts(parts);
    chat.ids.insert(chat.ids.end(), ids.begin(), ids.end());
    chat.answer.resize(chat.ids.size(), answer);
    parts.clear();
  };
  for (const ChatPiece& piece : pieces) {
    if (piece.answer != answer || piece.media > 0) flush();
    answer = piece.answer;
    if (piece.media > 0) chat.media.push_back({chat.ids.size(), piece.media});
    parts.push_back({piece.text, piece.control});
  }
  flush();
  return chat;
}

}  // namespace tessera::text
