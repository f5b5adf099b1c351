// Finite automata over bytes. What must stay true: every state that can be reached can still reach acceptance, so that whoever follows
// one never runs into a dead end.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace tessera::generate {

/// A deterministic automaton. State 0 is the start; -1 is no state.
class ByteAutomaton {
 public:
  static constexpr size_t most_states = 40000;
  using Row = std::array<int32_t, 256>;

  /// Of a table of transitions. States that cannot reach acceptance are left out.
  ByteAutomaton(const std::vector<Row>& rows, const std::vector<bool>& accepting);
  /// Accepts exactly these texts.
  static ByteAutomaton of_texts(const std::vector<std::string>& texts);
  /// Accepts what both accept.
  static ByteAutomaton both(const ByteAutomaton& a, const ByteAutomaton& b);

  /// Whether no text at all is accepted.
  bool empty() const { return distance_.empty(); }
  int32_t next(int32_t state, uint8_t byte) const {
    return next_[static_cast<size_t>(state) * classes_ + class_of_[byte]];
  }
  bool accepts(int32_t state) const { return distance_[static_cast<size_t>(state)] == 0; }
  bool accepts(std::string_view text) const;
  /// Bytes that are at least still to come before acceptance.
  int32_t distance(int32_t state) const { return distance_[static_cast<size_t>(state)]; }
  size_t states() const { return distance_.size(); }

 private:
  size_t classes_ = 0;                    // of bytes that no state tells apart
  std::array<uint16_t, 256> class_of_{};  // of each byte
  std::vector<int32_t> next_;             // [states, classes]
  std::vector<int32_t> distance_;         // [states]
};

/// Makes the automaton of whatever `expand` describes: expand(state, emit) calls emit(byte, state) for each transition. Throws UserError
/// "[json schema] `what` ..." where there would be too many states.
template <class State, class Expand, class Accepts>
ByteAutomaton explore(const State& start, const Expand& expand, const Accepts& accepts, std::string_view what) {
  std::map<State, int32_t> known = {{start, 0}};
  std::vector<State> states = {start};
  std::vector<ByteAutomaton::Row> rows;
  std::vector<bool> accepting;
  for (size_t at = 0; at < states.size(); ++at) {
    const State state = states[at];
    accepting.push_back(accepts(state));
    ByteAutomaton::Row& row = rows.emplace_back();
    row.fill(-1);
    int32_t number = -1;  // bytes beside each other mostly lead to the same state
    expand(state, [&](int byte, const State& to) {
      if (number < 0 || !(states[static_cast<size_t>(number)] == to)) {
        const auto [found, is_new] = known.try_emplace(to, static_cast<int32_t>(states.size()));
        if (is_new) states.push_back(to);
        number = found->second;
      }
      row[static_cast<size_t>(byte)] = number;
    });
    if (states.size() > ByteAutomaton::most_states) {
      throw UserError("[json schema] {} needs an automaton of more than {} states; want something smaller", what,
                      ByteAutomaton::most_states);
    }
  }
  return ByteAutomaton(rows, accepting);
}

}  // namespace tessera::generate
