// Rows of one question and its answer, in the ways people write them, as a conversation.
#pragma once

#include <string_view>

#include "core/json.h"

namespace tessera::data {

/// Whether a row without turns of its own has "completion" (TRL) or "instruction" (Alpaca).
bool is_instruction(const Json& row);

/// The row as a row of a conversation, {"messages": [...]} with what else the row holds (tools, images).
///   {"prompt": "..." or turns, "completion": "..." or turns}
///   {"instruction": "...", "input": "...", "output": "..."}: the input, where there is one, follows the instruction after an empty line;
///   "history" holds earlier pairs of question and answer
/// "system" becomes the first turn. `where` opens errors. Throws UserError for a key that is missing or of the wrong type, and for a completion that
/// is labelled as good or bad.
Json instruction_conversation(const Json& row, std::string_view where);

}  // namespace tessera::data
