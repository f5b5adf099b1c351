// Pieces are tokenised one by one: a token never reaches from the control text into what people typed.
#include "text/lesson.h"

namespace tessera::text {

Lesson lesson_of(const std::vector<Message>& messages, const ChatTemplate& chat, const Tokenizer& tokenizer) {
  Lesson lesson;
  for (const ChatPiece& piece : chat.pieces(messages, /*open=*/false)) {
    const std::vector<int32_t> ids =
        tokenizer.encode(piece.text, {.add_special = false, .parse_special = piece.control});
    lesson.ids.insert(lesson.ids.end(), ids.begin(), ids.end());
    lesson.learned.insert(lesson.learned.end(), ids.size(), piece.answer);
  }
  return lesson;
}

}  // namespace tessera::text
