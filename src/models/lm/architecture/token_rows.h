// Tokens and the rows that the embedding has for them. What must stay true: a tokenizer may have added tokens without a row, as long as
// nobody uses them; no such id reaches a model.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/files.h"
#include "models/lm/architecture/config.h"
#include "text/tokenizer.h"

namespace tessera::lm {

/// Warns of added tokens that have no row in the embedding. Throws UserError when tokens of the vocabulary itself have none: files
/// of two models. `where` names them.
void require_rows_for(const LmConfig& config, const text::Tokenizer& tokenizer, const Path& where);

/// Throws UserError that names the first of `ids` without a row. `what` is what they are of: "the prompt".
void require_rows(const LmConfig& config, const text::Tokenizer& tokenizer, std::span<const int32_t> ids,
                  std::string_view what);

}  // namespace tessera::lm
