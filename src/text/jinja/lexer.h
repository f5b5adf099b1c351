// A template's source as tokens, with white space around tags taken away as Jinja does under trim_blocks and lstrip_blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/budget.h"

namespace tessera::text::jinja {

/// A template that cannot be read, with the line.
class SyntaxFault : public Fault {
 public:
  SyntaxFault(int line, const std::string& what) : Fault(what), line_(line) {}
  int line() const { return line_; }

 private:
  int line_;
};

struct Token {
  enum class Kind { text, output_begin, output_end, tag_begin, tag_end, name, string, integer, real, sign, end };
  Kind kind = Kind::end;
  std::string text;  // of a text, a name, a string (escapes read) or a sign
  int line = 1;
  int64_t integer = 0;
  double real = 0;

  bool is_sign(std::string_view sign) const { return kind == Kind::sign && text == sign; }
  bool is_name(std::string_view name) const { return kind == Kind::name && text == name; }
};

/// `source`: valid UTF-8. The last token is of kind `end`. Throws SyntaxFault.
std::vector<Token> tokens_of(std::string_view source);

}  // namespace tessera::text::jinja
