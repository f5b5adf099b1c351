// Targets are ids shifted by one; the template says which of them are an answer's.
#include "train/grading.h"

#include <algorithm>

#include "core/error.h"

namespace tessera::train {

std::vector<int32_t> graded_targets(const std::vector<int32_t>& ids, const std::vector<uint8_t>& answer) {
  std::vector<int32_t> targets(ids.size(), not_graded);
  for (size_t i = 0; i + 1 < ids.size(); ++i) {
    if (answer[i + 1] != 0) targets[i] = ids[i + 1];
  }
  return targets;
}

Sequence graded_sequence(const std::vector<int32_t>& ids, const std::vector<uint8_t>& answer, int64_t room) {
  if (ids.size() < 2) throw UserError("[train] a sample has no words; want data of kind text or chat");
  Sequence sequence{.ids = ids, .targets = graded_targets(ids, answer)};
  const size_t length = std::min(ids.size() - 1, static_cast<size_t>(room));
  sequence.ids.resize(length);
  sequence.targets.resize(length);
  return sequence;
}

Sequence graded_conversation(const std::vector<text::Message>& messages, const text::Tokenizer& tokenizer,
                             const text::ChatTemplate& chat, int64_t room, const text::TemplateInputs& inputs) {
  const text::ChatIds words =
      text::encode_chat(tokenizer, chat.pieces(messages, /*add_generation_prompt=*/false, inputs));
  return graded_sequence(words.ids, words.answer, room);
}

}  // namespace tessera::train
