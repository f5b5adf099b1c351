// How a conversation becomes one text for a model: the families' own templates, recognised by the stored template.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "text/message.h"
#include "text/tokenizer.h"

namespace tessera::text {

/// A piece of a templated conversation. Control text is parsed for special tokens, what people typed is not.
struct ChatPiece {
  std::string text;
  bool control = false;
  bool answer = false;  // belongs to an assistant's turn (its content and the token that ends it): what SFT learns
  int64_t media = 0;    // pictures and clips before this text
  bool operator==(const ChatPiece&) const = default;
};

class ChatTemplate {
 public:
  /// The template stored with a tokenizer (tokenizer_config.json, chat_template.jinja or chat_template.json). Throws
  /// UserError when there is none, or one that is not among the known ones (lists them).
  static ChatTemplate of(const Path& tokenizer_directory);
  /// By name: "chatml", "nvila", "qwen2", "qwen2.5", "llama3", "llama3.1", "gemma", "olmo2", "plain". Throws UserError.
  static ChatTemplate named(std::string_view name);

  const std::string& name() const { return name_; }
  /// Pieces whose texts joined equal the reference's rendering. `add_generation_prompt`: ends where the assistant's answer begins.
  /// Begin tokens are among them: encode without add_special. Throws UserError for roles the template does not have.
  std::vector<ChatPiece> pieces(const std::vector<Message>& messages, bool add_generation_prompt = true) const;
  /// The pieces joined.
  std::string render(const std::vector<Message>& messages, bool add_generation_prompt = true) const;

 private:
  explicit ChatTemplate(std::string name);
  std::string name_;
  std::string begin_, end_;  // bos_token and eos_token, where the template writes them
};

/// A conversation as ids.
struct ChatIds {
  struct Media {
    size_t at = 0;      // comes before ids[at]
    int64_t count = 0;  // pictures and clips
    bool operator==(const Media&) const = default;
  };
  std::vector<int32_t> ids;
  std::vector<uint8_t> answer;  // 1 where SFT learns; as long as ids
  std::vector<Media> media;
};

/// Words continue from piece to piece as in the rendered text, but stop where an answer begins or ends (generation starts
/// there too) and at media. What people typed never becomes a control token.
ChatIds encode_chat(const Tokenizer& tokenizer, const std::vector<ChatPiece>& pieces);

}  // namespace tessera::text
