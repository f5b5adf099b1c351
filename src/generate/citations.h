// Citation blocking (Hyperfitting, ICLR 2025, its citation blocker): a text may not go on as the training data do.
#pragma once

#include <memory>

#include "data/citation_index.h"
#include "generate/text_sequence.h"

namespace tessera::generate {

/// True for ids that stand in the middle of a word when something stands before them: what they decode to begins with a letter, a
/// digit, an apostrophe or the rest of a character; other scripts count as letters, their punctuation does not.
std::vector<bool> word_continuations(const text::Tokenizer& tokenizer);

/// Where a sequence's last `run` tokens (of prompt and continuation) stand in the index, what follows them there becomes impossible,
/// unless it only completes the word that is under way.
ConstraintMaker block_citations(std::shared_ptr<const data::CitationIndex> index, const text::Tokenizer& tokenizer,
                                size_t run = 5);

}  // namespace tessera::generate
