// How a conversation becomes one text for a model: the families' own templates, recognised by the stored template.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/files.h"
#include "text/message.h"

namespace tessera::text {

/// A piece of a templated conversation. Control text is parsed for special tokens, what people typed is not.
struct ChatPiece {
  std::string text;
  bool control = false;
  bool answer = false;  // belongs to an assistant's turn (its content and the token that ends it): what SFT learns
  int64_t media = 0;    // pictures and clips that stand before this text
};

class ChatTemplate {
 public:
  /// The template stored with a tokenizer (tokenizer_config.json, chat_template.jinja or chat_template.json). Throws UserError when there is none, or one
  /// that is not among the known ones (lists them).
  static ChatTemplate of(const Path& tokenizer_directory);
  /// By name: "chatml", "qwen2", "llama3", "gemma", "olmo2", "plain". Throws UserError.
  static ChatTemplate named(std::string_view name);

  const std::string& name() const { return name_; }
  /// Pieces whose texts joined equal the reference's rendering. `open`: ends where the assistant begins to speak.
  /// Throws UserError for roles the template does not have.
  std::vector<ChatPiece> pieces(const std::vector<Message>& messages, bool open = true) const;
  /// The pieces joined.
  std::string render(const std::vector<Message>& messages, bool open = true) const;

 private:
  explicit ChatTemplate(std::string name) : name_(std::move(name)) {}
  std::string name_;
};

}  // namespace tessera::text
