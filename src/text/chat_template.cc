// See chat_template.h. What a template wants of `content` is found by rendering one turn in both forms.
#include "text/chat_template.h"

#include <algorithm>

#include "core/error.h"
#include "text/chat_pieces.h"
#include "text/chat_values.h"
#include "text/named_templates.h"
#include "text/unicode.h"

namespace tessera::text {

namespace {
constexpr std::string_view needle = "needle";

/// One line of at most 300 bytes, for an error message.
std::string one_line(std::string_view text) {
  std::string line(text.substr(0, 300));
  line.resize(whole_characters(line));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) c = ' ';
  }
  return line;
}

[[noreturn]] void fail(const std::string& where, const jinja::TemplateFault& fault) {
  if (fault.refusal()) throw UserError("[text] {} refuses the conversation: {}", where, one_line(fault.what()));
  throw UserError("[text] {}, line {}: {}", where, fault.line(), one_line(fault.what()));
}

jinja::Template parsed(const std::string& source, const std::string& where) {
  try {
    return jinja::Template(source);
  } catch (const jinja::TemplateFault& fault) {
    fail(where, fault);
  }
}
}  // namespace

ChatTemplate::ChatTemplate(std::string source, SpecialTokens special_tokens, std::string where)
    : source_(std::move(source)), where_(std::move(where)), special_tokens_(std::move(special_tokens)),
      template_(parsed(source_, where_)) {
  find_form();
}

ChatTemplate ChatTemplate::of_source(std::string source, SpecialTokens special_tokens, std::string where) {
  return ChatTemplate(std::move(source), std::move(special_tokens), std::move(where));
}

ChatTemplate ChatTemplate::named(std::string_view name) {
  NamedTemplate found = named_template(name);
  return ChatTemplate(std::move(found.source), std::move(found.special_tokens),
                      "the chat template '" + std::string(name) + "'");
}

ChatTemplate& ChatTemplate::with_tool_template(const std::string& source) {
  tool_template_ = parsed(source, where_ + " for tools");
  return *this;
}

std::string ChatTemplate::probe(bool add_generation_prompt, ContentForm form) const {
  try {
    const Message message{.role = "user", .content = std::string(needle)};
    return rendered({message}, add_generation_prompt, {.now = 0}, form).bytes();
  } catch (const UserError&) {
    return "";
  }
}

void ChatTemplate::find_form() {
  // a list that is written as it is shows its inside in Python's spelling
  const auto understood = [](const std::string& text) {
    return text.find(needle) != std::string::npos && text.find("'type'") == std::string::npos &&
           text.find("\"type\"") == std::string::npos;
  };
  const bool parts = !understood(probe(false, ContentForm::text)) && understood(probe(false, ContentForm::parts));
  if (parts) form_ = ContentForm::parts;
  const std::string closed = probe(false, form_), open = probe(true, form_);
  if (open.starts_with(closed)) generation_prompt_ = open.substr(closed.size());
}

jinja::MarkedText ChatTemplate::rendered(const std::vector<Message>& messages, bool add_generation_prompt,
                                         const TemplateInputs& inputs, ContentForm form) const {
  const bool tools = tool_template_ && !inputs.tools.is_null();
  try {
    jinja::Budget budget(limits_for(messages, inputs));
    jinja::Variables variables;
    try {
      variables = chat_variables(messages, inputs, special_tokens_, add_generation_prompt, form, budget);
    } catch (const jinja::Fault& fault) {
      throw UserError("[text] a conversation cannot be given to a chat template: {}", one_line(fault.what()));
    }
    return (tools ? *tool_template_ : template_).render(variables, budget, inputs.now.value_or(std::time(nullptr)));
  } catch (const jinja::TemplateFault& fault) {
    fail(where_, fault);
  }
}

std::vector<ChatPiece> ChatTemplate::pieces(const std::vector<Message>& messages, bool add_generation_prompt,
                                            const TemplateInputs& inputs) const {
  if (messages.empty()) throw UserError("[text] a conversation without messages");
  const bool tools = tool_template_ && !inputs.tools.is_null();
  AnswerMarks marks{.generation = (tools ? *tool_template_ : template_).marks_generation(),
                    .generation_prompt = generation_prompt_,
                    .end_token = {}};
  for (const auto& [name, token] : special_tokens_) {
    if (name == "eos_token") marks.end_token = token;
  }
  return pieces_of(rendered(messages, add_generation_prompt, inputs, form_), messages, marks, where_);
}

std::string ChatTemplate::render(const std::vector<Message>& messages, bool add_generation_prompt,
                                 const TemplateInputs& inputs) const {
  std::string text;
  for (const ChatPiece& piece : pieces(messages, add_generation_prompt, inputs)) text += piece.text;
  return text;
}

std::string spelled_end(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  std::vector<ChatPiece> pieces;
  try {
    pieces = chat.pieces({{.role = "user", .content = "a"}, {.role = "assistant", .content = "b"}}, false);
  } catch (const UserError&) {
    return "";
  }
  std::string end;
  for (const ChatPiece& piece : pieces) end += piece.answer && piece.control ? piece.text : "";
  const std::vector<int32_t> ids = tokenizer.encode(end, {.add_special = false});
  const bool token = std::ranges::any_of(ids, [&](int32_t id) { return tokenizer.is_special(id); });
  return token ? "" : end;
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
