// Recursive descent over the code points of a pattern.
#include "generate/json/pattern_parser.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "core/error.h"
#include "core/utf8.h"

namespace tessera::generate {

namespace {

constexpr uint32_t last_code = 0x10FFFF;
constexpr int most_repeats = 1000, deepest_group = 50;

const CodeRanges digit_set = {{'0', '9'}};
const CodeRanges word_set = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const CodeRanges space_set = {{0x09, 0x0D},     {0x1C, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},
                              {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F},
                              {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
/// Letters of scripts without digits of their own: neither reading of \D (ASCII's digits, or all of Unicode's) takes these for digits.
const CodeRanges not_digit_set = {{0x00, '0' - 1}, {'9' + 1, 0x5FF}, {0x3041, 0x9FFF}};
/// Neither reading of \W takes these for parts of words.
const CodeRanges not_word_set = {{0x00, '0' - 1}, {'9' + 1, 'A' - 1}, {'Z' + 1, '_' - 1}, {'`', '`'},
                                 {'z' + 1, 0x7F}, {0x2010, 0x2027},   {0x3001, 0x3002}};
/// What both readings of \s, ECMA's and Python's, call white space.
const CodeRanges sure_space_set = {{0x09, 0x0D}, {0x20, 0x20}, {0xA0, 0xA0}, {0x2000, 0x200A}, {0x3000, 0x3000}};

std::vector<uint32_t> code_points(std::string_view text) {
  std::vector<uint32_t> codes;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const int more = lead < 0xC0 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    uint32_t code = more == 0 ? lead : lead & (0x3Fu >> more);
    for (int k = 1; k <= more; ++k)
      code = code << 6 | (static_cast<unsigned char>(text[i + static_cast<size_t>(k)]) & 0x3Fu);
    codes.push_back(code);
    i += static_cast<size_t>(more) + 1;
  }
  return codes;
}

class Parser {
 public:
  Parser(std::string_view pattern, std::string_view path) : pattern_(pattern), path_(path) {
    if (broken_parts(pattern) > 0) refuse("is no valid UTF-8");
    codes_ = code_points(pattern);
  }

  PatternNode parse() {
    PatternNode node = alternatives(0);
    if (at_ < codes_.size()) refuse("has a ')' too many");
    return node;
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    throw UserError("[json schema] keyword 'pattern' at {}: the expression '{}' {}", path_, pattern_.substr(0, 100),
                    what);
  }
  bool more() const { return at_ < codes_.size(); }
  uint32_t peek(size_t ahead = 0) const { return at_ + ahead < codes_.size() ? codes_[at_ + ahead] : 0xFFFFFFFF; }
  bool take(uint32_t code) {
    if (peek() != code) return false;
    ++at_;
    return true;
  }

  PatternNode alternatives(int depth) {
    if (depth > deepest_group) refuse("has groups that are nested too deeply");
    PatternNode all{.kind = PatternNode::Kind::alternatives};
    do all.children.push_back(sequence(depth));
    while (take('|'));
    return all.children.size() == 1 ? std::move(all.children[0]) : all;
  }

  PatternNode sequence(int depth) {
    PatternNode all{.kind = PatternNode::Kind::sequence};
    while (more() && peek() != '|' && peek() != ')') all.children.push_back(quantified(depth));
    return all;
  }

  PatternNode quantified(int depth) {
    PatternNode node = atom(depth);
    while (true) {
      int least = 0, most = -1;
      if (take('*')) {
      } else if (take('+')) {
        least = 1;
      } else if (take('?')) {
        most = 1;
      } else if (!counts(least, most)) {
        return node;
      }
      if (node.kind == PatternNode::Kind::begin || node.kind == PatternNode::Kind::end ||
          node.kind == PatternNode::Kind::repeat)
        refuse("repeats what cannot be repeated");
      take('?');  // a lazy one matches the same texts
      PatternNode repeat{.kind = PatternNode::Kind::repeat, .least = least, .most = most};
      repeat.children.push_back(std::move(node));
      node = std::move(repeat);
    }
  }

  /// {m}, {m,} or {m,n}; false, at the same place, where there is none.
  bool counts(int& least, int& most) {
    if (peek() != '{') return false;
    ++at_;
    const std::optional<int> low = number();
    if (!low) refuse("has a '{' that begins no count; want \\{ for the character");
    least = *low;
    most = least;
    if (take(',')) most = peek() == '}' ? -1 : number().value_or(-2);
    if (most == -2 || !take('}') || (most >= 0 && most < least)) refuse("has a count that is none");
    return true;
  }

  std::optional<int> number() {
    std::optional<int> value;
    while (more() && peek() >= '0' && peek() <= '9') {
      value = value.value_or(0) * 10 + static_cast<int>(codes_[at_++] - '0');
      if (*value > most_repeats) refuse("repeats more than 1000 times");
    }
    return value;
  }

  PatternNode atom(int depth) {
    const uint32_t code = codes_[at_++];
    switch (code) {
      case '^':
        return {.kind = PatternNode::Kind::begin};
      case '$':
        return {.kind = PatternNode::Kind::end};
      case '.':
        return of_set(other_ranges({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}));
      case '(':
        return group(depth);
      case '[':
        return of_set(char_class());
      case '\\':
        return of_set(escaped(false));
      case '*':
      case '+':
      case '?':
      case '{':
        refuse("repeats nothing");
      case ']':
      case '}':
        refuse("has a bracket that was not opened");
      default:
        return of_set({{code, code}});
    }
  }

  static PatternNode of_set(CodeRanges set) {
    return {.kind = PatternNode::Kind::set, .set = normal_ranges(std::move(set))};
  }

  PatternNode group(int depth) {
    if (take('?')) {
      if (peek() == '<' && peek(1) != '=' && peek(1) != '!') {
        while (more() && peek() != '>') ++at_;
        if (!take('>')) refuse("has a group whose name does not end");
      } else if (!take(':')) {
        refuse("looks around, which is not supported");
      }
    }
    PatternNode node = alternatives(depth + 1);
    if (!take(')')) refuse("has a group that does not end");
    PatternNode wrapped{.kind = PatternNode::Kind::sequence};
    wrapped.children.push_back(std::move(node));
    return wrapped;
  }

  CodeRanges char_class() {
    const bool negated = take('^');
    CodeRanges all;
    while (true) {
      if (!more()) refuse("has a class that does not end");
      if (take(']')) break;
      CodeRanges first = class_atom(negated);
      if (peek() == '-' && peek(1) != ']' && peek(1) != 0xFFFFFFFF) {
        ++at_;
        const CodeRanges last = class_atom(negated);
        const bool single = first.size() == 1 && first[0].first == first[0].second && last.size() == 1 &&
                            last[0].first == last[0].second && first[0].first <= last[0].first;
        if (!single) refuse("has a range in a class that is none");
        first[0].second = last[0].first;
      }
      all.insert(all.end(), first.begin(), first.end());
    }
    all = normal_ranges(std::move(all));
    return negated ? other_ranges(all) : all;
  }

  CodeRanges class_atom(bool negated) {
    if (!more()) refuse("has a class that does not end");
    const uint32_t code = codes_[at_++];
    if (code == '\\') return escaped(negated, /*in_class=*/true);
    return {{code, code}};
  }

  uint32_t hex(int digits) {
    uint32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const uint32_t code = peek();
      const bool is_digit = code >= '0' && code <= '9', is_letter = (code | 0x20) >= 'a' && (code | 0x20) <= 'f';
      if (!is_digit && !is_letter) refuse("has an escape with too few digits");
      value = value << 4 | (is_digit ? code - '0' : (code | 0x20) - 'a' + 10);
      ++at_;
    }
    return value;
  }

  uint32_t unicode() {
    uint32_t value = 0;
    if (take('{')) {
      do value = value << 4 | hex(1);
      while (more() && peek() != '}' && value <= last_code);
      if (!take('}')) refuse("has an escape that does not end");
    } else {
      value = hex(4);
      if (value >= 0xD800 && value < 0xDC00 && peek() == '\\' && peek(1) == 'u') {
        at_ += 2;
        value = 0x10000 + ((value - 0xD800) << 10 | (hex(4) & 0x3FF));
      }
    }
    if (value > last_code || (value >= 0xD800 && value < 0xE000)) refuse("has an escape that is no character");
    return value;
  }

  /// What follows a backslash. In a negated class the classes are as wide as any reading makes them, elsewhere as narrow.
  CodeRanges escaped(bool negated, bool in_class = false) {
    if (!more()) refuse("ends with a backslash");
    const uint32_t code = codes_[at_++];
    switch (code) {
      case 'd':
        return negated ? other_ranges(not_digit_set) : digit_set;
      case 'w':
        return negated ? other_ranges(not_word_set) : word_set;
      case 's':
        return negated ? space_set : sure_space_set;
      case 'D':
        return negated ? other_ranges(digit_set) : not_digit_set;
      case 'W':
        return negated ? other_ranges(word_set) : not_word_set;
      case 'S':
        return other_ranges(negated ? sure_space_set : space_set);
      case 'n':
        return {{'\n', '\n'}};
      case 'r':
        return {{'\r', '\r'}};
      case 't':
        return {{'\t', '\t'}};
      case 'f':
        return {{'\f', '\f'}};
      case 'v':
        return {{'\v', '\v'}};
      case '0':
        return {{0, 0}};
      case 'x': {
        const uint32_t value = hex(2);
        return {{value, value}};
      }
      case 'u': {
        const uint32_t value = unicode();
        return {{value, value}};
      }
      default:
        break;
    }
    if (code == 'b' && in_class) return {{'\b', '\b'}};
    if (code < 0x80 && std::isalnum(static_cast<int>(code)) == 0) return {{code, code}};
    refuse("has an escape that is not supported: word boundaries, back references and \\p cannot be enforced");
  }

  std::string_view pattern_, path_;
  std::vector<uint32_t> codes_;
  size_t at_ = 0;
};

}  // namespace

CodeRanges normal_ranges(CodeRanges ranges) {
  std::sort(ranges.begin(), ranges.end());
  CodeRanges joined;
  for (const auto& range : ranges) {
    if (!joined.empty() && range.first <= joined.back().second + 1)
      joined.back().second = std::max(joined.back().second, range.second);
    else joined.push_back(range);
  }
  return joined;
}

CodeRanges other_ranges(const CodeRanges& ranges) {
  CodeRanges with_surrogates = ranges;
  with_surrogates.emplace_back(0xD800, 0xDFFF);
  CodeRanges others;
  uint32_t next = 0;
  for (const auto& [first, last] : normal_ranges(std::move(with_surrogates))) {
    if (first > next) others.emplace_back(next, first - 1);
    next = last + 1;
  }
  if (next <= last_code) others.emplace_back(next, last_code);
  return others;
}

PatternNode parse_pattern(std::string_view pattern, std::string_view path) { return Parser(pattern, path).parse(); }

}  // namespace tessera::generate
