// The token sequences of Liquid: for drawing, for seeing, and for teaching both. What must stay true: they are those of the published program,
// token for token.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "models/liquid/config.h"
#include "models/lm/text/writes.h"
#include "text/message.h"

namespace tessera::liquid {

/// What is added to a prompt when it asks for a picture; in training one of several.
inline constexpr std::string_view drawing_suffix = " Generate an image based on this description.";
/// The ten that training chooses from; drawing_suffix is among them.
const std::vector<std::string>& drawing_suffixes();
/// The question that a caption answers.
inline constexpr std::string_view caption_question = "The caption of this image is:";

class Prompter {
 public:
  Prompter(PictureTokens pictures, const text::Tokenizer& tokenizer) : pictures_(pictures), tokenizer_(&tokenizer) {}

  /// <bos> prompt suffix <boi>. Throws UserError for a prompt of no words.
  std::vector<int32_t> drawing(std::string_view prompt, std::string_view suffix = drawing_suffix) const;
  /// <bos><unconditional><boi>.
  std::vector<int32_t> unconditional() const;
  /// Codes as ids of the vocabulary. Throws UserError for a code outside the codebook.
  std::vector<int32_t> ids_of(const std::vector<int64_t>& codes) const;

  /// A picture before a question: <bos><boi> codes <eoi> question; for a tokenizer with Gemma's turns the question is a user's turn with a
  /// line break after the picture, and the answer's turn is opened. The two texts are made into tokens separately. Several pictures follow each
  /// other. `media`: codes of the pictures that the messages count, in order. Throws UserError for a conversation of another form than
  /// turns of user and assistant, and for messages that count other pictures than there are.
  std::vector<int32_t> seeing(const std::vector<text::Message>& messages,
                              const std::vector<std::vector<int64_t>>& media) const;

  /// Sequences that teach: ids, and which of them are learned.
  struct Lesson {
    std::vector<int32_t> ids;
    std::vector<uint8_t> learned;
  };
  /// drawing(), the codes, <eoi><eos>; an empty `suffix` with `prompt` empty is the unconditional form. Learned: codes, <eoi>, <eos>.
  Lesson drawing_lesson(std::string_view prompt, std::string_view suffix, const std::vector<int64_t>& codes,
                        bool without_prompt) const;
  /// <bos><boi> codes <eoi> question answer <eos>, the answer's tokens made by themselves. Learned: answer and <eos>.
  Lesson caption_lesson(std::string_view caption, const std::vector<int64_t>& codes) const;
  /// A conversation about pictures, as seeing() has it, with the answers in it. Learned: answers and what ends them.
  Lesson talk_lesson(const std::vector<text::Message>& messages, const std::vector<std::vector<int64_t>>& media) const;

  /// The token that ends an answer in a turn: <end_of_turn>, or absent where there are no turns.
  std::optional<int32_t> end_of_turn() const;
  const PictureTokens& pictures() const { return pictures_; }

 private:
  std::vector<int32_t> begun() const;
  void add_text(Lesson& lesson, std::string_view text, bool learned) const;
  void add_ids(Lesson& lesson, const std::vector<int32_t>& ids, bool learned) const;
  void add_picture(Lesson& lesson, const std::vector<int64_t>& codes, bool learned) const;
  void add_end(Lesson& lesson) const;
  Lesson conversation(const std::vector<text::Message>& messages, const std::vector<std::vector<int64_t>>& media) const;

  PictureTokens pictures_;
  const text::Tokenizer* tokenizer_;
};

}  // namespace tessera::liquid
