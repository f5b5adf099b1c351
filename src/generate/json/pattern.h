// Regular expressions of JSON schemas as automata over the bytes of a JSON string.
#pragma once

#include <string>
#include <string_view>

#include "generate/json/byte_automaton.h"

namespace tessera::generate {

/// JSON strings, quotes included, whose text holds a match of `pattern` (ECMA-262 with its `u` flag: characters, classes, groups,
/// alternatives, quantifiers, ^ and $). A character that must be escaped is written in one way. Throws UserError, with `path`, for what is
/// no such pattern and for what an automaton cannot do or is not worth doing: look-around, back references, \b, \p.
ByteAutomaton pattern_automaton(std::string_view pattern, std::string_view path);

/// The pattern of a `format`; "" where the format is not known. Narrower than the format where that is simpler: no leap days, no
/// shortened IPv6 addresses.
std::string_view pattern_of_format(std::string_view format);
/// Names of the formats, for messages.
std::string formats();

}  // namespace tessera::generate
