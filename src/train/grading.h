// Grading of answers: which tokens of a conversation count towards a loss. The one place that decides it, for fine-tuning of every model
// and for pairs of preferred and rejected answers. The law: what an assistant says and the token that ends its turn count, nothing else.
#pragma once

#include <cstdint>
#include <vector>

#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "train/packing.h"

namespace tessera::train {

/// Target of a position after which nothing is learned.
inline constexpr int32_t not_graded = -1;

/// What each position is to predict: the next id where that belongs to an answer, else not_graded; so the last position predicts
/// nothing. `answer`: 1 where an id belongs to an answer, as long as `ids`.
std::vector<int32_t> graded_targets(const std::vector<int32_t>& ids, const std::vector<uint8_t>& answer);

/// A templated conversation as a sequence of at most `room` positions, cut at its end. Throws UserError when it has fewer than two ids.
Sequence graded_sequence(const std::vector<int32_t>& ids, const std::vector<uint8_t>& answer, int64_t room);

/// The same from its turns.
Sequence graded_conversation(const std::vector<text::Message>& messages, const text::Tokenizer& tokenizer,
                             const text::ChatTemplate& chat, int64_t room, const text::TemplateInputs& inputs = {});

}  // namespace tessera::train
