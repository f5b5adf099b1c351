// See lexer.h. The rules are those of Jinja 3.1's lexer: line breaks become \n, and a single one at the end is dropped.
#include "text/jinja/lexer.h"

#include <charconv>
#include <cmath>

#include "text/jinja/marked_text.h"
#include "text/unicode.h"

namespace tessera::text::jinja {

namespace {
std::string with_line_feeds(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t at = 0; at < source.size(); ++at) {
    if (source[at] != '\r') text += source[at];
    else if (at + 1 == source.size() || source[at + 1] != '\n') text += '\n';
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Python's escapes in `body`, the inside of a string.
std::string unescaped(std::string_view body, int line) {
  std::string text;
  const auto code_of = [&](size_t at, size_t digits, int base) {
    uint32_t code = 0;
    if (at + digits > body.size()) throw SyntaxFault(line, "a string ends inside of an escape");
    const char* const from = body.data() + at;
    const auto [end, error] = std::from_chars(from, from + digits, code, base);
    const bool valid =
        error == std::errc() && end == from + digits && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    if (!valid) throw SyntaxFault(line, "a string holds an escape that is no character");
    return static_cast<char32_t>(code);
  };
  for (size_t at = 0; at < body.size(); ++at) {
    if (body[at] != '\\' || at + 1 == body.size()) {
      text += body[at];
      continue;
    }
    const char c = body[++at];
    constexpr std::string_view names = "abfnrtv\\'\"", meanings = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t known = names.find(c); known != std::string_view::npos) {
      text += meanings[known];
    } else if (c == 'x' || c == 'u' || c == 'U') {
      const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
      append_character(text, code_of(at + 1, digits, 16));
      at += digits;
    } else if (c >= '0' && c <= '7') {
      size_t digits = 1;
      while (digits < 3 && at + digits < body.size() && body[at + digits] >= '0' && body[at + digits] <= '7') ++digits;
      append_character(text, code_of(at, digits, 8));
      at += digits - 1;
    } else if (c == 'N') {
      throw SyntaxFault(line, "a string names a character by \\N, which is not supported");
    } else if (c != '\n') {
      (text += '\\') += c;
    }
  }
  return text;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(with_line_feeds(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) text_and_tag();
    add(Token::Kind::end, "");
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return std::string_view(source_).substr(at_); }
  [[noreturn]] void fail(const std::string& what) const { throw SyntaxFault(line_, what); }
  void add(Token::Kind kind, std::string text) {
    tokens_.push_back({.kind = kind, .text = std::move(text), .line = line_});
  }
  /// Goes on to `to`, counting lines.
  void advance(size_t to) {
    for (; at_ < to; ++at_) line_ += source_[at_] == '\n' ? 1 : 0;
  }
  void skip_space() {
    while (at_ < source_.size() && is_python_space(character_at(source_, at_).code))
      advance(at_ + character_at(source_, at_).length);
  }

  void text_and_tag() {
    size_t tag = source_.find('{', at_);
    while (tag != std::string::npos &&
           (tag + 1 == source_.size() || std::string_view("{%#").find(source_[tag + 1]) == std::string_view::npos))
      tag = source_.find('{', tag + 1);
    if (tag == std::string::npos) {
      add(Token::Kind::text, source_.substr(at_));
      return advance(source_.size());
    }
    const char kind = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
    const bool signed_tag = sign == '-' || sign == '+';
    add_text(at_, tag, sign, kind != '{');
    advance(tag + (signed_tag ? 3 : 2));
    if (kind == '#') comment();
    else if (kind == '{') inside(Token::Kind::output_begin, Token::Kind::output_end, "}}");
    else if (!raw()) inside(Token::Kind::tag_begin, Token::Kind::tag_end, "%}");
  }

  /// The text before a tag, cut as the tag's sign says. `strips`: a tag that takes the blanks of its own line.
  void add_text(size_t begin, size_t end, char sign, bool strips) {
    std::string_view text = std::string_view(source_).substr(begin, end - begin);
    if (sign == '-') {
      while (!text.empty() && is_python_space(character_before(text, text.size()).code))
        text.remove_suffix(character_before(text, text.size()).length);
    } else if (sign != '+' && strips) {
      const size_t feed = text.rfind('\n');
      const size_t start = feed == std::string_view::npos ? 0 : feed + 1;
      bool blank = start > 0 || begin == 0 || source_[begin - 1] == '\n';
      for (size_t i = start; blank && i < text.size(); i += character_at(text, i).length)
        blank = is_python_space(character_at(text, i).code);
      if (blank && start < text.size()) text = text.substr(0, start);
    }
    if (!text.empty()) add(Token::Kind::text, std::string(text));
  }

  /// Behind `end`, whose sign was read: white space, or the line break that trim_blocks takes.
  void after_tag(bool strips, bool trims) {
    if (strips) skip_space();
    else if (trims && at_ < source_.size() && source_[at_] == '\n') advance(at_ + 1);
  }

  void comment() {
    const size_t end = source_.find("#}", at_);
    if (end == std::string::npos) fail("a comment does not end");
    const char sign = end > at_ ? source_[end - 1] : ' ';
    advance(end + 2);
    after_tag(sign == '-', sign != '+');
  }

  /// {% raw %}: true when it was one, read whole.
  bool raw() {
    const size_t begin = at_;
    const int line = line_;
    const auto word = [&](std::string_view name) {
      skip_space();
      if (!rest().starts_with(name)) return false;
      advance(at_ + name.size());
      skip_space();
      return true;
    };
    bool found = word("raw");
    const bool strips = found && rest().starts_with("-%}");
    found = found && (strips || rest().starts_with("%}"));
    if (!found) {
      at_ = begin;
      line_ = line;
      return false;
    }
    advance(at_ + (strips ? 3 : 2));
    if (strips) skip_space();
    const size_t from = at_;
    for (size_t tag = source_.find("{%", at_); tag != std::string::npos; tag = source_.find("{%", tag + 2)) {
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
      at_ = tag + (sign == '-' || sign == '+' ? 3 : 2);
      if (!word("endraw")) continue;
      const char last = at_ < source_.size() ? source_[at_] : ' ';
      if (last == '-' || last == '+') ++at_;
      if (!rest().starts_with("%}")) continue;
      const size_t behind = at_ + 2;
      at_ = from;
      line_ = line;
      add_text(from, tag, sign, true);
      advance(behind);
      after_tag(last == '-', last != '+');
      return true;
    }
    fail("{% raw %} does not end");
  }

  void inside(Token::Kind begins, Token::Kind ends, std::string_view end) {
    add(begins, "");
    std::string open;  // brackets that have to close before the tag can end
    while (true) {
      skip_space();
      if (at_ >= source_.size()) fail("the template ends inside of a tag");
      const char sign = source_[at_];
      const bool tag = ends == Token::Kind::tag_end;
      const bool signed_end = (sign == '-' || (tag && sign == '+')) && rest().substr(1).starts_with(end);
      if (open.empty() && (signed_end || rest().starts_with(end))) {
        add(ends, "");
        advance(at_ + end.size() + (signed_end ? 1 : 0));
        return after_tag(signed_end && sign == '-', tag && !signed_end);
      }
      token(open);
    }
  }

  void token(std::string& open) {
    const char c = source_[at_];
    if (is_digit(c)) return number();
    if (c == '"' || c == '\'') return string(c);
    if (is_name_start(c)) {
      size_t end = at_;
      while (end < source_.size() && (is_name_start(source_[end]) || is_digit(source_[end]))) ++end;
      add(Token::Kind::name, source_.substr(at_, end - at_));
      return advance(end);
    }
    constexpr std::string_view signs[] = {"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "[",
                                          "]",  "(",  ")",  "{",  "}",  "<",  ">", "=", ".", ":", "|", ","};
    for (const std::string_view sign : signs) {
      if (!rest().starts_with(sign)) continue;
      balance(sign, open);
      add(Token::Kind::sign, std::string(sign));
      return advance(at_ + sign.size());
    }
    const Character odd = character_at(source_, at_);
    fail(odd.code < ' ' ? "a control character in a tag" : "unexpected '" + source_.substr(at_, odd.length) + "'");
  }

  void balance(std::string_view sign, std::string& open) const {
    if (sign == "(") open += ')';
    if (sign == "[") open += ']';
    if (sign == "{") open += '}';
    if (sign != ")" && sign != "]" && sign != "}") return;
    if (open.empty() || open.back() != sign[0]) fail("unexpected '" + std::string(sign) + "'");
    open.pop_back();
  }

  void string(char quote) {
    size_t end = at_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) fail("a string does not end");
    add(Token::Kind::string, unescaped(std::string_view(source_).substr(at_ + 1, end - at_ - 1), line_));
    advance(end + 1);
  }

  void number() {
    const auto digits = [&](size_t from) {
      size_t end = from;
      while (end < source_.size() && (is_digit(source_[end]) || (source_[end] == '_' && end > from))) ++end;
      return end;
    };
    size_t end = digits(at_);
    const auto next = [&](size_t i) { return end + i < source_.size() ? source_[end + i] : ' '; };
    if (source_[at_] == '0' && end == at_ + 1 && std::string_view("xXoObB").find(next(0)) != std::string_view::npos)
      fail("numbers of other bases than 10 are not supported");
    const bool attribute = !tokens_.empty() && tokens_.back().is_sign(".");  // list.0.name
    bool real = false;
    if (!attribute && next(0) == '.' && is_digit(next(1))) {
      end = digits(end + 1);
      real = true;
    }
    if ((next(0) == 'e' || next(0) == 'E') &&
        (is_digit(next(1)) || ((next(1) == '+' || next(1) == '-') && is_digit(next(2))))) {
      end = digits(end + 2);
      real = true;
    }
    std::string text = source_.substr(at_, end - at_);
    std::erase(text, '_');
    add(real ? Token::Kind::real : Token::Kind::integer, text);
    Token& token = tokens_.back();
    const char* const last = text.data() + text.size();
    const auto error =
        real ? std::from_chars(text.data(), last, token.real).ec : std::from_chars(text.data(), last, token.integer).ec;
    if (error != std::errc()) fail("the number " + text.substr(0, 40) + " is too large");
    advance(end);
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  std::vector<Token> tokens_;
};
}  // namespace

std::vector<Token> tokens_of(std::string_view source) { return Lexer(source).run(); }

}  // namespace tessera::text::jinja
