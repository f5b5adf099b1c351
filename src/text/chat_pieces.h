// From a rendered conversation to pieces: what is control text, what is an answer, where pictures stand.
#pragma once

#include <string>
#include <vector>

#include "text/chat_template.h"
#include "text/jinja/marked_text.h"

namespace tessera::text {

struct AnswerMarks {
  bool generation = false;  // the template says by {% generation %} what an answer is
  std::string
      generation_prompt;  // else an answer begins behind this, where it stands in front of an assistant's words,
  std::string end_token;  // and ends with this, or with the first thing that looks like a token that ends a turn
};

/// Throws UserError when the template leaves out the words of a message that has pictures.
std::vector<ChatPiece> pieces_of(const jinja::MarkedText& rendered, const std::vector<Message>& messages,
                                 const AnswerMarks& marks, const std::string& where);

}  // namespace tessera::text
