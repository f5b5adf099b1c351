// Keeps a text valid JSON, or valid against a JSON schema, whatever the tokenizer: tokens may hold several parts of a text or pieces of a
// character.
#pragma once

#include <memory>

#include "generate/json/grammar.h"
#include "generate/json/token_trie.h"
#include "generate/text_sequence.h"

namespace tessera::generate {

/// Tokens after which a text is still a beginning of a valid one; ends the text where nothing can follow. Where few tokens are left, only
/// those that leave enough of them to complete the text: a text is not cut by its length, unless the shortest one is longer than that. Both may be
/// shared by any number of texts. The maker throws UserError where the vocabulary cannot write JSON at all.
ConstraintMaker json_constraint(std::shared_ptr<const JsonGrammar> grammar, std::shared_ptr<const TokenTrie> tokens);

}  // namespace tessera::generate
