// The tree of a pattern becomes a nondeterministic automaton over bytes, and that a deterministic one.
#include "generate/json/pattern.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "core/utf8.h"
#include "generate/json/pattern_parser.h"

namespace tessera::generate {

namespace {

constexpr size_t most_parts = 8000;  // states of the nondeterministic automaton
constexpr int64_t most_work =
    5'000'000;  // states visited on the way to the deterministic one: a client's schema may not hold a server up

struct Edge {
  uint8_t low = 0, high = 0;
  int32_t to = 0;
};

struct NfaState {
  std::vector<Edge> edges;
  std::vector<int32_t> free, at_begin,
      at_end;  // taken without a byte: always, before the first one, after the last one
};

class Nfa {
 public:
  explicit Nfa(std::string_view path) : path_(path) {}
  std::vector<NfaState> states;

  int32_t add() {
    if (states.size() >= most_parts)
      throw UserError("[json schema] keyword 'pattern' at {}: the expression is too large; want fewer repetitions",
                      path_);
    states.emplace_back();
    return static_cast<int32_t>(states.size()) - 1;
  }
  NfaState& at(int32_t state) { return states[static_cast<size_t>(state)]; }

  /// Adds the node between two states.
  void build(const PatternNode& node, int32_t from, int32_t to) {
    using Kind = PatternNode::Kind;
    switch (node.kind) {
      case Kind::nothing:
        at(from).free.push_back(to);
        return;
      case Kind::begin:
        at(from).at_begin.push_back(to);
        return;
      case Kind::end:
        at(from).at_end.push_back(to);
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
        at(from).free.push_back(to);
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
      at(from).edges.push_back({static_cast<uint8_t>(bytes[i]), static_cast<uint8_t>(bytes[i]), next});
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
      at(from).edges.push_back({static_cast<uint8_t>(first[i]), static_cast<uint8_t>(last[i]), next});
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
      at(from).free.push_back(loop);
      build(child, loop, end);
      at(end).free.push_back(loop);
      at(loop).free.push_back(to);
      return;
    }
    for (int i = node.least; i < node.most; ++i) {
      at(from).free.push_back(to);
      const int32_t next = add();
      build(child, from, next);
      from = next;
    }
    at(from).free.push_back(to);
  }

  std::string_view path_;
};

/// Sorted states of the nondeterministic automaton; {-1} before the opening quotes, {-2} after the closing ones.
using States = std::vector<int32_t>;
const States before_quotes = {-1}, after_quotes = {-2};

class Subsets {
 public:
  Subsets(const Nfa& nfa, int32_t start, int32_t final, std::string_view path)
      : nfa_(nfa), start_(start), final_(final), path_(path) {}

  template <class Emit> void expand(const States& states, const Emit& emit) const {
    if (states == after_quotes) return;
    if (states == before_quotes) {
      emit('"', closed({start_}, &NfaState::at_begin));
      return;
    }
    std::array<States, 256> targets;
    for (const int32_t state : states) {
      for (const Edge& edge : nfa_.states[static_cast<size_t>(state)].edges) {
        for (int byte = edge.low; byte <= edge.high; ++byte) targets[static_cast<size_t>(byte)].push_back(edge.to);
      }
    }
    std::map<States, States> known;  // most bytes lead to few sets
    for (int byte = 0; byte < 256; ++byte) {
      States& target = targets[static_cast<size_t>(byte)];
      if (target.empty()) continue;
      auto [found, is_new] = known.try_emplace(target);
      if (is_new) found->second = closed(target, nullptr);
      emit(byte, found->second);
    }
    if (std::ranges::binary_search(closed(states, &NfaState::at_end), final_)) emit('"', after_quotes);
  }

 private:
  States closed(const States& states, std::vector<int32_t> NfaState::*also) const {
    std::set<int32_t> all(states.begin(), states.end());
    std::vector<int32_t> open(all.begin(), all.end());
    while (!open.empty()) {
      if (++work_ > most_work)
        throw UserError("[json schema] keyword 'pattern' at {}: the expression takes too long to compile", path_);
      const NfaState& state = nfa_.states[static_cast<size_t>(open.back())];
      open.pop_back();
      const auto follow = [&](const std::vector<int32_t>& to) {
        for (const int32_t next : to) {
          if (all.insert(next).second) open.push_back(next);
        }
      };
      follow(state.free);
      if (also != nullptr) follow(state.*also);
    }
    return {all.begin(), all.end()};
  }

  const Nfa& nfa_;
  int32_t start_, final_;
  std::string_view path_;
  mutable int64_t work_ = 0;
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
  nfa.at(start).free.push_back(from);
  nfa.characters(any, start, start);  // a match may begin anywhere
  nfa.build(tree, from, to);
  nfa.at(to).free.push_back(final);
  nfa.characters(any, final, final);  // and end anywhere
  const Subsets subsets(nfa, start, final, path);
  return explore(
      before_quotes, [&](const States& states, const auto& emit) { subsets.expand(states, emit); },
      [](const States& states) { return states == after_quotes; }, fmt::format("keyword 'pattern' at {}", path));
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
