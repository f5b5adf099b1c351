// Numbers within bounds as automata over their digits.
#pragma once

#include <optional>

#include "core/json.h"
#include "generate/json/byte_automaton.h"

namespace tessera::generate {

/// Which numbers are meant. Bounds are compared digit by digit, so that nothing is rounded.
struct NumberBounds {
  bool whole = false;  // no fraction, no exponent
  std::optional<Json> low = {}, high = {};
  bool low_excluded = false, high_excluded = false;
  int64_t multiple_of = 1;  // above 1: whole numbers alone
};

/// Numbers of at most 15 digits before the point (or as many as a bound has, and one) and 15 after it, which all readers hold exactly; an exponent of two digits where
/// there is no bound. `path` names the schema where the automaton would be too large (UserError).
ByteAutomaton number_automaton(const NumberBounds& bounds, std::string_view path);

}  // namespace tessera::generate
