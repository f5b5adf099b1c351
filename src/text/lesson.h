// A conversation as what a model learns from: token ids, and which of them are the assistant's.
#pragma once

#include <cstdint>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace tessera::text {

struct Lesson {
  std::vector<int32_t> ids;
  std::vector<bool> learned;  // of each id: it belongs to an assistant's turn
};

/// Throws UserError for roles that the template does not have.
Lesson lesson_of(const std::vector<Message>& messages, const ChatTemplate& chat, const Tokenizer& tokenizer);

}  // namespace tessera::text
