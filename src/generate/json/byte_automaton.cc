// Trimming, distances and classes of bytes.
#include "generate/json/byte_automaton.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace tessera::generate {

namespace {

constexpr int32_t unreached = std::numeric_limits<int32_t>::max();

/// Bytes from each state to the nearest accepting one; `unreached` where there is none.
std::vector<int32_t> distances(const std::vector<ByteAutomaton::Row>& rows, const std::vector<bool>& accepting) {
  std::vector<std::vector<int32_t>> from(rows.size());
  for (size_t state = 0; state < rows.size(); ++state) {
    int32_t last = -1;
    for (const int32_t to : rows[state]) {
      if (to >= 0 && to != last) from[static_cast<size_t>(to)].push_back(static_cast<int32_t>(state));
      last = to;
    }
  }
  std::vector<int32_t> distance(rows.size(), unreached), queue;
  for (size_t state = 0; state < rows.size(); ++state) {
    if (!accepting[state]) continue;
    distance[state] = 0;
    queue.push_back(static_cast<int32_t>(state));
  }
  for (size_t at = 0; at < queue.size(); ++at) {
    const auto state = static_cast<size_t>(queue[at]);
    for (const int32_t before : from[state]) {
      int32_t& known = distance[static_cast<size_t>(before)];
      if (known != unreached) continue;
      known = distance[state] + 1;
      queue.push_back(before);
    }
  }
  return distance;
}

}  // namespace

ByteAutomaton::ByteAutomaton(const std::vector<Row>& rows, const std::vector<bool>& accepting) {
  const std::vector<int32_t> distance = distances(rows, accepting);
  if (rows.empty() || distance[0] == unreached) return;
  std::vector<int32_t> number(rows.size(), -1);
  std::vector<size_t> kept;
  for (size_t state = 0; state < rows.size(); ++state) {
    if (distance[state] == unreached) continue;
    number[state] = static_cast<int32_t>(kept.size());
    kept.push_back(state);
    distance_.push_back(distance[state]);
  }
  std::map<std::vector<int32_t>, uint16_t> columns;
  std::vector<size_t> representative;  // a byte of each class
  for (size_t byte = 0; byte < 256; ++byte) {
    std::vector<int32_t> column;
    column.reserve(kept.size());
    for (const size_t state : kept) {
      const int32_t to = rows[state][byte];
      column.push_back(to < 0 ? -1 : number[static_cast<size_t>(to)]);
    }
    const auto [found, is_new] = columns.try_emplace(std::move(column), static_cast<uint16_t>(representative.size()));
    if (is_new) representative.push_back(byte);
    class_of_[byte] = found->second;
  }
  classes_ = representative.size();
  next_.reserve(kept.size() * classes_);
  for (const size_t state : kept) {
    for (const size_t byte : representative) {
      const int32_t to = rows[state][byte];
      next_.push_back(to < 0 ? -1 : number[static_cast<size_t>(to)]);
    }
  }
}

ByteAutomaton ByteAutomaton::of_texts(const std::vector<std::string>& texts) {
  std::vector<Row> rows(1);
  std::vector<bool> accepting(1, false);
  rows[0].fill(-1);
  for (const std::string& text : texts) {
    size_t state = 0;
    for (const char c : text) {
      const auto byte = static_cast<uint8_t>(c);
      if (rows[state][byte] < 0) {
        if (rows.size() >= most_states)
          throw UserError("[json schema] the values of an enum have more than {} characters together", most_states);
        rows[state][byte] = static_cast<int32_t>(rows.size());
        rows.emplace_back().fill(-1);
        accepting.push_back(false);
      }
      state = static_cast<size_t>(rows[state][byte]);
    }
    accepting[state] = true;
  }
  return ByteAutomaton(rows, accepting);
}

ByteAutomaton ByteAutomaton::both(const ByteAutomaton& a, const ByteAutomaton& b) {
  if (a.empty() || b.empty()) return ByteAutomaton({}, {});
  using Pair = std::pair<int32_t, int32_t>;
  const auto expand = [&](const Pair& state, const auto& emit) {
    for (int byte = 0; byte < 256; ++byte) {
      const Pair to = {a.next(state.first, static_cast<uint8_t>(byte)),
                       b.next(state.second, static_cast<uint8_t>(byte))};
      if (to.first >= 0 && to.second >= 0) emit(byte, to);
    }
  };
  return explore(
      Pair(0, 0), expand, [&](const Pair& state) { return a.accepts(state.first) && b.accepts(state.second); },
      "a string with several conditions");
}

bool ByteAutomaton::accepts(std::string_view text) const {
  if (empty()) return false;
  int32_t state = 0;
  for (const char c : text) {
    state = next(state, static_cast<uint8_t>(c));
    if (state < 0) return false;
  }
  return accepts(state);
}

}  // namespace tessera::generate
