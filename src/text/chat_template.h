// How a conversation becomes one text for a model: the chat template stored with it, interpreted, or one by name. What people typed never becomes
// a control token, whatever the template does with it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/files.h"
#include "text/jinja/template.h"
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

/// Names and texts of special tokens, as in tokenizer_config.json: "bos_token", "eos_token", ...
using SpecialTokens = std::vector<std::pair<std::string, std::string>>;

/// What a template wants `content` to be.
enum class ContentForm {
  text,
  parts  // [{"type": "image"}, {"type": "text", "text": ...}], where the template cannot read a text
};

class ChatTemplate {
 public:
  /// The template stored with a tokenizer (chat_template.jinja, chat_template.json or tokenizer_config.json). Throws
  /// UserError when there is none, or one that is no template or uses what is not supported (by name and line).
  static ChatTemplate of(const Path& tokenizer_directory);
  /// By name: "chatml", "nvila", "qwen2", "qwen2.5", "llama3", "llama3.1", "gemma", "olmo2", "plain". Throws UserError.
  static ChatTemplate named(std::string_view name);
  /// From the text of a template. `where` names it in messages: "the chat template of DIR". Throws UserError.
  static ChatTemplate of_source(std::string source, SpecialTokens special_tokens, std::string where);
  /// What a person gave: a file (the text of a template, or a JSON file that holds one as "chat_template"), a tokenizer's directory, or a
  /// name. `special_tokens` are the model's own, which a file's template may write. Throws UserError.
  static ChatTemplate given(const std::string& name_or_file, SpecialTokens special_tokens);
  /// The template that is taken where there are tools.
  ChatTemplate& with_tool_template(const std::string& source);

  const std::string& source() const { return source_; }
  /// Pieces whose texts joined equal the rendering of transformers' apply_chat_template. `add_generation_prompt`: ends where the
  /// assistant's answer begins. Begin tokens are among them: encode without add_special. Throws UserError for a conversation that
  /// the template refuses, and for a template that does not end soon.
  std::vector<ChatPiece> pieces(const std::vector<Message>& messages, bool add_generation_prompt = true,
                                const TemplateInputs& inputs = {}) const;
  /// The pieces joined.
  std::string render(const std::vector<Message>& messages, bool add_generation_prompt = true,
                     const TemplateInputs& inputs = {}) const;

 private:
  ChatTemplate(std::string source, SpecialTokens special_tokens, std::string where);
  jinja::MarkedText rendered(const std::vector<Message>& messages, bool add_generation_prompt,
                             const TemplateInputs& inputs, ContentForm form) const;
  /// A rendering of one user's turn, "" when the template refuses it.
  std::string probe(bool add_generation_prompt, ContentForm form) const;
  void find_form();

  std::string source_, where_;
  SpecialTokens special_tokens_;
  jinja::Template template_;
  std::optional<jinja::Template> tool_template_;
  ContentForm form_ = ContentForm::text;
  std::string generation_prompt_;  // what add_generation_prompt adds to a user's turn
};

/// The templates of a tokenizer's directory as they are stored; "" where there is none. Throws UserError for files that are damaged.
struct StoredTemplates {
  std::string usual, tools;
};
StoredTemplates stored_templates(const Path& tokenizer_directory);

/// bos_token, eos_token and pad_token as a tokenizer has them.
SpecialTokens special_tokens_of(const Tokenizer& tokenizer);

/// What a template writes behind an answer, where the tokenizer has no token for it ("<|im_end|>" with a vocabulary of another family): a
/// model must then spell it, and nothing ends its answers. "" where a token of its own stands there, or the template refuses a plain conversation.
std::string spelled_end(const ChatTemplate& chat, const Tokenizer& tokenizer);

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
