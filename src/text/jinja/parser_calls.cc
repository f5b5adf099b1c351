// Calls, filters and tests behind a value; see parser.h.
#include "text/jinja/functions.h"
#include "text/jinja/parser.h"

namespace tessera::text::jinja {

CallSyntax ExpressionParser::arguments() {
  CallSyntax given;
  tokens_.expect_sign("(");
  for (bool first = true; !tokens_.current().is_sign(")"); first = false) {
    if (!first) {
      tokens_.expect_sign(",");
      if (tokens_.current().is_sign(")")) break;
    }
    const bool named = tokens_.current().kind == Token::Kind::name && tokens_.ahead().is_sign("=");
    if (given.dict || (given.list && !named && !tokens_.current().is_sign("**")))
      tokens_.fail("an argument behind *arguments or **arguments");
    if (tokens_.skip_sign("*")) {
      given.list = expression();
    } else if (tokens_.skip_sign("**")) {
      given.dict = expression();
    } else if (named) {
      std::string name = tokens_.next().text;
      tokens_.next();
      given.keywords.emplace_back(std::move(name), expression());
    } else {
      if (!given.keywords.empty()) tokens_.fail("an argument without a name behind one with a name");
      given.positional.push_back(expression());
    }
  }
  tokens_.expect_sign(")");
  return given;
}

ExpressionPtr ExpressionParser::call(ExpressionPtr node) {
  ExpressionPtr made = make(Expression::Kind::call, tokens_.line());
  made->parts.push_back(std::move(node));
  made->call = arguments();
  return finish(std::move(made));
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr input, bool first_without_pipe) {
  while (first_without_pipe || tokens_.skip_sign("|")) {
    first_without_pipe = false;
    ExpressionPtr node = make(Expression::Kind::filter, tokens_.line());
    node->name = tokens_.expect_name();
    if (is_missing_filter(node->name))
      throw SyntaxFault(node->line, "the filter '" + node->name + "' is not supported");
    node->parts.push_back(std::move(input));
    if (tokens_.current().is_sign("(")) node->call = arguments();
    input = finish(std::move(node));
  }
  return input;
}

ExpressionPtr ExpressionParser::test(ExpressionPtr node) {
  const int line = tokens_.line();
  tokens_.next();
  const bool negated = tokens_.skip_name("not");
  ExpressionPtr made = make(Expression::Kind::test, line);
  made->name = tokens_.expect_name();
  made->parts.push_back(std::move(node));
  const Token& token = tokens_.current();
  const bool value =
      token.kind == Token::Kind::string || token.kind == Token::Kind::integer || token.kind == Token::Kind::real ||
      token.is_sign("[") || token.is_sign("{") ||
      (token.kind == Token::Kind::name && !token.is_name("else") && !token.is_name("or") && !token.is_name("and"));
  if (token.is_name("is")) tokens_.fail("several tests with 'is' in a row");
  if (token.is_sign("(")) made->call = arguments();
  else if (value) made->call.positional.push_back(postfix(primary()));
  made = finish(std::move(made));
  if (!negated) return made;
  ExpressionPtr not_it = make(Expression::Kind::unary, line);
  not_it->operators = {Operator::logical_not};
  not_it->parts.push_back(std::move(made));
  return finish(std::move(not_it));
}

}  // namespace tessera::text::jinja
