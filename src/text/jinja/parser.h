// From a template's source to its tree, by the grammar of Jinja 3.1 with the tags that transformers allows. What is not supported is refused
// here by its name and line, as far as a tree shows it.
#pragma once

#include <string_view>
#include <vector>

#include "text/jinja/lexer.h"
#include "text/jinja/syntax.h"

namespace tessera::text::jinja {

/// Throws SyntaxFault.
Block parse(std::string_view source);

/// The tokens of a template, one after another.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}
  const Token& current() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  int line() const { return current().line; }
  const Token& next() {
    const Token& token = tokens_[at_];
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool skip_sign(std::string_view sign) { return current().is_sign(sign) && (next(), true); }
  bool skip_name(std::string_view name) { return current().is_name(name) && (next(), true); }
  void expect_sign(std::string_view sign);
  std::string expect_name();
  [[noreturn]] void fail(const std::string& what) const { throw SyntaxFault(line(), what); }
  [[noreturn]] void fail_at_current(std::string_view want) const;

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

/// The expressions of a template.
class ExpressionParser {
 public:
  ExpressionParser(TokenStream& tokens, Budget& budget) : tokens_(tokens), budget_(budget) {}
  ExpressionPtr expression();
  /// Without `a if b else c` at the top.
  ExpressionPtr without_condition() { return either(); }
  /// One expression, or several with commas, which make a tuple. `conditional`: `a if b` may stand at the top.
  ExpressionPtr tuple(bool conditional = true, bool parenthesised = false);
  /// Filters with their pipes behind `input`, which may be null.
  ExpressionPtr filters(ExpressionPtr input, bool first_without_pipe = false);
  /// Names that macros look at: caller, varargs, kwargs.
  std::vector<std::string> used_names;

 private:
  ExpressionPtr make(Expression::Kind kind, int line) const;
  /// Sets the depth from the children. Throws SyntaxFault when it is too deep.
  ExpressionPtr finish(ExpressionPtr node) const;
  ExpressionPtr binary(Operator op, ExpressionPtr left, ExpressionPtr right, int line);
  void require_depth() const;
  ExpressionPtr either();
  ExpressionPtr both();
  ExpressionPtr negation();
  ExpressionPtr comparison();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filters);
  ExpressionPtr primary();
  ExpressionPtr literal_list();
  ExpressionPtr literal_dict();
  ExpressionPtr postfix(ExpressionPtr node);
  ExpressionPtr filters_and_tests(ExpressionPtr node);
  ExpressionPtr subscript(ExpressionPtr node);
  ExpressionPtr subscribed(ExpressionPtr node, int line);
  ExpressionPtr call(ExpressionPtr node);
  ExpressionPtr test(ExpressionPtr node);
  CallSyntax arguments();
  bool at_tuple_end() const;

  TokenStream& tokens_;
  Budget& budget_;
  int open_ = 0;  // calls of this parser inside of each other
};

}  // namespace tessera::text::jinja
