// Pairs of a better and a worse answer to one prompt, in the ways people write them, as two conversations. What must stay true: the two
// begin with the same turns and part, if they do, in what the assistant says.
#pragma once

#include <string_view>
#include <utility>

#include "core/json.h"

namespace tessera::data {

/// Whether a row prefers one answer to another: it has "chosen" or "rejected", or "winner".
bool is_preference(const Json& row);

/// The row as two rows of conversations, {"messages": [...]} each with what else the row holds (tools, images): the chosen one first.
/// `where` opens errors. Throws UserError for a key that is missing or of the wrong type, for conversations that begin with different
/// turns, for answers that are not the assistant's, and for a vote that prefers neither. Equal answers are let through.
std::pair<Json, Json> preference_conversations(const Json& row, std::string_view where);

}  // namespace tessera::data
