// The tree of a pattern becomes a nondeterministic automaton over bytes, and that a deterministic one.
#include "generate/json/pattern.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "core/utf8.h"
#include "generate/json/pattern_parser.h"

namespace tessera::generate {

namespace {

// A client's schema may not hold a server up.
constexpr size_t most_parts = 8000;        // states of the nondeterministic automaton
constexpr int64_t most_edges = 1'000'000;  // of the nondeterministic automaton
constexpr int64_t most_work = 20'000'000;  // edges followed on the way to the deterministic one

/// Numbers of states of the nondeterministic automaton.
using States = std::vector<int32_t>;

struct Edge {
  uint8_t low = 0, high = 0;
  int32_t to = 0;
};

struct NfaState {
  std::vector<Edge> edges;
  States free, at_begin, at_end;  // reached without a byte: always, before the first one, after the last one
};

class Nfa {
 public:
  explicit Nfa(std::string_view path) : path_(path) {}
  std::vector<NfaState> states;

  int32_t add() {
    if (states.size() >= most_parts) refuse_size();
    states.emplace_back();
    return static_cast<int32_t>(states.size()) - 1;
  }
  const NfaState& at(int32_t state) const { return states[static_cast<size_t>(state)]; }
  /// Goes from one state to another without a byte: always, or as `when` says.
  void pass(int32_t from, int32_t to, States NfaState::*when = &NfaState::free) {
    count_edge();
    (states[static_cast<size_t>(from)].*when).push_back(to);
  }

  /// Adds the node between two states.
  void build(const PatternNode& node, int32_t from, int32_t to) {
    using Kind = PatternNode::Kind;
    switch (node.kind) {
      case Kind::nothing:
        pass(from, to);
        return;
      case Kind::begin:
        pass(from, to, &NfaState::at_begin);
        return;
      case Kind::end:
        pass(from, to, &NfaState::at_end);
        return;
      case Kind::set:
        characters(node.set, from, to);
        return;
      case Kind::sequence:
        for (const PatternNode& child : node.children) {
          const int32_t next = add();
          build(child, from, next);
          from = next;
        }
        pass(from, to);
        return;
      case Kind::alternatives:
        for (const PatternNode& child : node.children) build(child, from, to);
        return;
      case Kind::repeat:
        repeat(node, from, to);
        return;
    }
  }

  /// One character of a set, as it is written in a JSON string.
  void characters(const CodeRanges& set, int32_t from, int32_t to) {
    for (const auto& [first, last] : set) {
      for (uint32_t code = first; code <= std::min<uint32_t>(last, '\\'); ++code) {
        if (code < 0x20 || code == '"' || code == '\\') text(escape_of(code), from, to);
      }
      const uint32_t cuts[][2] = {{0x20, 0x21},    {0x23, 0x5B},     {0x5D, 0x7F},       {0x80, 0x7FF},
                                  {0x800, 0xD7FF}, {0xE000, 0xFFFF}, {0x10000, 0x10FFFF}};
      for (const auto& [low, high] : cuts) {
        if (first <= high && last >= low) range(std::max(first, low), std::min(last, high), from, to);
      }
    }
  }

 private:
  static std::string escape_of(uint32_t code) {
    switch (code) {
      case '"':
        return "\\\"";
      case '\\':
        return "\\\\";
      case '\b':
        return "\\b";
      case '\f':
        return "\\f";
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      default:
        return fmt::format("\\u{:04x}", code);
    }
  }

  void text(const std::string& bytes, int32_t from, int32_t to) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      const int32_t next = i + 1 == bytes.size() ? to : add();
      read(from, bytes[i], bytes[i], next);
      from = next;
    }
  }

  /// Code points of one length in UTF-8: cut until all bytes but the first that differs span whole ranges.
  void range(uint32_t low, uint32_t high, int32_t from, int32_t to) {
    const int bytes = high < 0x80 ? 1 : high < 0x800 ? 2 : high < 0x10000 ? 3 : 4;
    for (int i = 1; i < bytes; ++i) {
      const uint32_t inner = (1u << (6 * i)) - 1;
      if ((low & ~inner) == (high & ~inner)) continue;
      if ((low & inner) != 0) {
        range(low, low | inner, from, to);
        range((low | inner) + 1, high, from, to);
        return;
      }
      if ((high & inner) != inner) {
        range(low, (high & ~inner) - 1, from, to);
        range(high & ~inner, high, from, to);
        return;
      }
    }
    std::string first, last;
    append_utf8(first, low);
    append_utf8(last, high);
    for (size_t i = 0; i < first.size(); ++i) {
      const int32_t next = i + 1 == first.size() ? to : add();
      read(from, first[i], last[i], next);
      from = next;
    }
  }

  void repeat(const PatternNode& node, int32_t from, int32_t to) {
    const PatternNode& child = node.children[0];
    for (int i = 0; i < node.least; ++i) {
      const int32_t next = add();
      build(child, from, next);
      from = next;
    }
    if (node.most < 0) {
      const int32_t loop = add(), end = add();
      pass(from, loop);
      build(child, loop, end);
      pass(end, loop);
      pass(loop, to);
      return;
    }
    for (int i = node.least; i < node.most; ++i) {
      pass(from, to);
      const int32_t next = add();
      build(child, from, next);
      from = next;
    }
    pass(from, to);
  }

  void read(int32_t from, char low, char high, int32_t to) {
    count_edge();
    states[static_cast<size_t>(from)].edges.push_back({static_cast<uint8_t>(low), static_cast<uint8_t>(high), to});
  }

  void count_edge() {
    if (++edges_ > most_edges) refuse_size();
  }

  [[noreturn]] void refuse_size() const {
    throw UserError("[json schema] keyword 'pattern' at {}: the expression is too large; want fewer repetitions",
                    path_);
  }

  std::string_view path_;
  int64_t edges_ = 0;
};

/// Sets of those states, by their numbers: each is one state of the deterministic automaton.
class Subsets {
 public:
  static constexpr int32_t before_quotes = 0, after_quotes = 1;  // the others come after them

  Subsets(const Nfa& nfa, int32_t start, int32_t final, std::string_view path)
      : nfa_(nfa), start_(start), final_(final), path_(path), seen_(nfa.states.size(), 0) {}

  template <class Emit> void expand(int32_t number, const Emit& emit) {
    if (number == after_quotes) return;
    if (number == before_quotes) {
      emit('"', number_of(closed({start_}, &NfaState::at_begin)));
      return;
    }
    const States& states = *sets_[static_cast<size_t>(number) - 2];
    std::array<bool, 257> cut = {};  // where an edge begins, and after its end: between two cuts all bytes are alike
    for (const int32_t state : states) {
      for (const Edge& edge : nfa_.at(state).edges) cut[edge.low] = cut[edge.high + 1u] = true;
    }
    std::array<size_t, 256> group = {};  // of each byte: the cuts up to it
    for (size_t byte = 0; byte < 256; ++byte) group[byte] = (byte == 0 ? 0 : group[byte - 1]) + (cut[byte] ? 1 : 0);
    std::array<States, 257> targets;  // of each group
    for (const int32_t state : states) {
      for (const Edge& edge : nfa_.at(state).edges) {
        follow(group[edge.high] - group[edge.low] + 1);
        for (size_t i = group[edge.low]; i <= group[edge.high]; ++i) targets[i].push_back(edge.to);
      }
    }
    int32_t to = 0;
    for (size_t byte = 0; byte < 256; ++byte) {
      const States& target = targets[group[byte]];
      if (target.empty()) continue;
      if (cut[byte]) to = number_of(closed(target, nullptr));
      emit(static_cast<int>(byte), to);
    }
    if (std::ranges::binary_search(closed(states, &NfaState::at_end), final_)) emit('"', after_quotes);
  }

 private:
  void follow(size_t edges) {
    work_ += static_cast<int64_t>(edges);
    if (work_ > most_work)
      throw UserError("[json schema] keyword 'pattern' at {}: the expression takes too long to compile", path_);
  }

  /// What can be reached from `states` without a byte.
  States closed(const States& states, States NfaState::*also) {
    States all;
    ++round_;
    const auto add = [&](const States& more) {
      follow(more.size());
      for (const int32_t state : more) {
        if (std::exchange(seen_[static_cast<size_t>(state)], round_) != round_) all.push_back(state);
      }
    };
    add(states);
    for (size_t i = 0; i < all.size(); ++i) {
      const NfaState& state = nfa_.at(all[i]);
      add(state.free);
      if (also != nullptr) add(state.*also);
    }
    std::ranges::sort(all);
    return all;
  }

  int32_t number_of(States states) {
    const auto [found, is_new] = numbers_.try_emplace(std::move(states), static_cast<int32_t>(sets_.size()) + 2);
    if (is_new) sets_.push_back(&found->first);
    return found->second;
  }

  const Nfa& nfa_;
  int32_t start_, final_;
  std::string_view path_;
  std::map<States, int32_t> numbers_;
  std::vector<const States*> sets_;
  std::vector<int64_t> seen_;  // of each state: the last round that met it
  int64_t round_ = 0, work_ = 0;
};

struct Format {
  std::string_view name, pattern;
};

constexpr Format known_formats[] = {
    {"date",
     "^([1-9][0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|"
     "02-(0[1-9]|1[0-9]|2[0-8]))$"},
    {"time", "^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"},
    {"date-time",
     "^([1-9][0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|"
     "02-(0[1-9]|1[0-9]|2[0-8]))T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?"
     "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"},
    {"duration",
     "^P([1-9][0-9]{0,4}W|([1-9][0-9]{0,4}D)(T[1-9][0-9]{0,4}H)?|T([1-9][0-9]{0,4}H)?[1-9][0-9]{0,4}M|"
     "T([1-9][0-9]{0,4}H)?([1-9][0-9]{0,4}M)?[1-9][0-9]{0,4}S)$"},
    {"email",
     "^[A-Za-z0-9_%+-]{1,30}(\\.[A-Za-z0-9_%+-]{1,30}){0,2}@([A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?\\.){1,3}"
     "[A-Za-z]{2,12}$"},
    {"hostname", "^([A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?\\.){0,4}[A-Za-z]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$"},
    {"ipv4", "^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$"},
    {"ipv6", "^([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}$"},
    {"uuid", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"},
    {"uri",
     "^[a-z][a-z0-9+.-]{1,20}://[A-Za-z0-9]([A-Za-z0-9.-]{0,60}[A-Za-z0-9])?(:[1-9][0-9]{0,3})?"
     "(/[A-Za-z0-9._~!$&'()*+,;=:@-]*)*(\\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)?(#[A-Za-z0-9._~!$&'()*+,;=:@/?-]*)?$"},
};

}  // namespace

ByteAutomaton pattern_automaton(std::string_view pattern, std::string_view path) {
  const PatternNode tree = parse_pattern(pattern, path);
  Nfa nfa(path);
  const int32_t start = nfa.add(), from = nfa.add(), to = nfa.add(), final = nfa.add();
  const CodeRanges any = other_ranges({});
  nfa.pass(start, from);
  nfa.characters(any, start, start);  // a match may begin anywhere
  nfa.build(tree, from, to);
  nfa.pass(to, final);
  nfa.characters(any, final, final);  // and end anywhere
  Subsets subsets(nfa, start, final, path);
  return explore(
      Subsets::before_quotes, [&](int32_t number, const auto& emit) { subsets.expand(number, emit); },
      [](int32_t number) { return number == Subsets::after_quotes; }, fmt::format("keyword 'pattern' at {}", path));
}

std::string_view pattern_of_format(std::string_view format) {
  for (const Format& known : known_formats) {
    if (known.name == format) return known.pattern;
  }
  return "";
}

std::string formats() {
  std::string names;
  for (const Format& known : known_formats) names += (names.empty() ? "" : ", ") + std::string(known.name);
  return names;
}

}  // namespace tessera::generate
