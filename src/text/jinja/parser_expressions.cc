// Expressions by Jinja's precedence, which is not Python's: ~ binds tighter than +, filters and tests tighter than every operator.
#include <algorithm>
#include <optional>

#include "text/jinja/parser.h"

namespace tessera::text::jinja {

namespace {
struct NestingGuard {
  explicit NestingGuard(int& depth) : depth_(depth) { ++depth_; }
  ~NestingGuard() { --depth_; }
  NestingGuard(const NestingGuard&) = delete;
  int& depth_;
};

std::optional<Operator> comparison_of(TokenStream& tokens) {
  struct Sign {
    std::string_view text;
    Operator op;
  };
  constexpr Sign signs[] = {{"==", Operator::equal},         {"!=", Operator::unequal}, {"<=", Operator::less_equal},
                            {">=", Operator::greater_equal}, {"<", Operator::less},     {">", Operator::greater}};
  for (const Sign& sign : signs) {
    if (tokens.skip_sign(sign.text)) return sign.op;
  }
  if (tokens.skip_name("in")) return Operator::in;
  if (tokens.current().is_name("not") && tokens.ahead().is_name("in")) {
    tokens.next();
    tokens.next();
    return Operator::not_in;
  }
  return std::nullopt;
}
}  // namespace

ExpressionPtr ExpressionParser::make(Expression::Kind kind, int line) const {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->line = line;
  return node;
}

ExpressionPtr ExpressionParser::finish(ExpressionPtr node) const {
  const auto count = [&](const ExpressionPtr& part) {
    if (part) node->depth = std::max(node->depth, part->depth + 1);
  };
  for (const ExpressionPtr& part : node->parts) count(part);
  for (const ExpressionPtr& part : node->call.positional) count(part);
  for (const auto& [unused, part] : node->call.keywords) count(part);
  count(node->call.list);
  count(node->call.dict);
  if (node->depth > deepest_syntax)
    throw SyntaxFault(node->line, "an expression is nested deeper than " + std::to_string(deepest_syntax) + " levels");
  return node;
}

ExpressionPtr ExpressionParser::binary(Operator op, ExpressionPtr left, ExpressionPtr right, int line) {
  ExpressionPtr node = make(Expression::Kind::binary, line);
  node->operators = {op};
  node->parts.push_back(std::move(left));
  node->parts.push_back(std::move(right));
  return finish(std::move(node));
}

void ExpressionParser::require_depth() const {
  if (open_ > deepest_syntax / 2)
    tokens_.fail("brackets, signs or conditions are nested deeper than " + std::to_string(deepest_syntax / 2) +
                 " levels");
}

ExpressionPtr ExpressionParser::expression() {
  const NestingGuard guard(open_);
  require_depth();
  const int line = tokens_.line();
  ExpressionPtr value = either();
  while (tokens_.skip_name("if")) {
    ExpressionPtr node = make(Expression::Kind::conditional, line);
    node->parts.push_back(either());
    node->parts.push_back(std::move(value));
    node->parts.push_back(tokens_.skip_name("else") ? expression() : nullptr);
    value = finish(std::move(node));
  }
  return value;
}

ExpressionPtr ExpressionParser::either() {
  ExpressionPtr left = both();
  for (int line = tokens_.line(); tokens_.skip_name("or"); line = tokens_.line())
    left = binary(Operator::logical_or, std::move(left), both(), line);
  return left;
}

ExpressionPtr ExpressionParser::both() {
  ExpressionPtr left = negation();
  for (int line = tokens_.line(); tokens_.skip_name("and"); line = tokens_.line())
    left = binary(Operator::logical_and, std::move(left), negation(), line);
  return left;
}

ExpressionPtr ExpressionParser::negation() {
  const int line = tokens_.line();
  if (!tokens_.current().is_name("not")) return comparison();
  const NestingGuard guard(open_);
  require_depth();
  tokens_.next();
  ExpressionPtr node = make(Expression::Kind::unary, line);
  node->operators = {Operator::logical_not};
  node->parts.push_back(negation());
  return finish(std::move(node));
}

ExpressionPtr ExpressionParser::comparison() {
  const int line = tokens_.line();
  ExpressionPtr first = sum();
  std::optional<Operator> op = comparison_of(tokens_);
  if (!op) return first;
  ExpressionPtr node = make(Expression::Kind::comparison, line);
  node->parts.push_back(std::move(first));
  for (; op; op = comparison_of(tokens_)) {
    node->operators.push_back(*op);
    node->parts.push_back(sum());
  }
  return finish(std::move(node));
}

ExpressionPtr ExpressionParser::sum() {
  ExpressionPtr left = concatenation();
  while (true) {
    const int line = tokens_.line();
    if (tokens_.skip_sign("+")) left = binary(Operator::add, std::move(left), concatenation(), line);
    else if (tokens_.skip_sign("-")) left = binary(Operator::subtract, std::move(left), concatenation(), line);
    else return left;
  }
}

ExpressionPtr ExpressionParser::concatenation() {
  const int line = tokens_.line();
  ExpressionPtr first = product();
  if (!tokens_.current().is_sign("~")) return first;
  ExpressionPtr node = make(Expression::Kind::concatenation, line);
  node->parts.push_back(std::move(first));
  while (tokens_.skip_sign("~")) node->parts.push_back(product());
  return finish(std::move(node));
}

ExpressionPtr ExpressionParser::product() {
  ExpressionPtr left = power();
  while (true) {
    const int line = tokens_.line();
    if (tokens_.skip_sign("*")) left = binary(Operator::multiply, std::move(left), power(), line);
    else if (tokens_.skip_sign("/")) left = binary(Operator::divide, std::move(left), power(), line);
    else if (tokens_.skip_sign("//")) left = binary(Operator::floor_divide, std::move(left), power(), line);
    else if (tokens_.skip_sign("%")) left = binary(Operator::modulo, std::move(left), power(), line);
    else return left;
  }
}

ExpressionPtr ExpressionParser::power() {
  ExpressionPtr left = unary(true);
  for (int line = tokens_.line(); tokens_.skip_sign("**"); line = tokens_.line())
    left = binary(Operator::power, std::move(left), unary(true), line);
  return left;
}

ExpressionPtr ExpressionParser::unary(bool with_filters) {
  const NestingGuard guard(open_);
  require_depth();
  const int line = tokens_.line();
  const bool minus = tokens_.current().is_sign("-");
  ExpressionPtr node;
  if (minus || tokens_.current().is_sign("+")) {
    tokens_.next();
    node = make(Expression::Kind::unary, line);
    node->operators = {minus ? Operator::negate : Operator::plus};
    node->parts.push_back(unary(false));
    node = finish(std::move(node));
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filters ? filters_and_tests(std::move(node)) : std::move(node);
}

ExpressionPtr ExpressionParser::primary() {
  const Token& token = tokens_.current();
  ExpressionPtr node = make(Expression::Kind::constant, token.line);
  if (tokens_.skip_sign("(")) {
    node = tuple(true, /*parenthesised=*/true);
    tokens_.expect_sign(")");
    return node;
  }
  if (token.is_sign("[")) return literal_list();
  if (token.is_sign("{")) return literal_dict();
  switch (token.kind) {
    case Token::Kind::string: {
      std::string text;
      while (tokens_.current().kind == Token::Kind::string) text += tokens_.next().text;
      node->constant = make_text(text, budget_);
      return node;
    }
    case Token::Kind::integer:
      node->constant = token.integer;
      break;
    case Token::Kind::real:
      node->constant = token.real;
      break;
    case Token::Kind::name:
      if (token.text == "true" || token.text == "True") node->constant = true;
      else if (token.text == "false" || token.text == "False") node->constant = false;
      else if (token.text == "none" || token.text == "None") node->constant = None{};
      else {
        node->kind = Expression::Kind::name;
        node->name = token.text;
        used_names.push_back(token.text);
      }
      break;
    default:
      tokens_.fail_at_current("an expression");
  }
  tokens_.next();
  return node;
}

bool ExpressionParser::at_tuple_end() const {
  const Token& token = tokens_.current();
  return token.kind == Token::Kind::output_end || token.kind == Token::Kind::tag_end || token.is_sign(")") ||
         token.is_name("recursive");
}

ExpressionPtr ExpressionParser::tuple(bool conditional, bool parenthesised) {
  ExpressionPtr node = make(Expression::Kind::tuple, tokens_.line());
  bool commas = false;
  while (!at_tuple_end()) {
    node->parts.push_back(conditional ? expression() : either());
    if (!tokens_.current().is_sign(",")) break;
    tokens_.next();
    commas = true;
  }
  if (!commas && !node->parts.empty()) return std::move(node->parts.front());
  if (!commas && !parenthesised) tokens_.fail_at_current("an expression");
  return finish(std::move(node));
}

ExpressionPtr ExpressionParser::literal_list() {
  ExpressionPtr node = make(Expression::Kind::list, tokens_.line());
  tokens_.expect_sign("[");
  while (!tokens_.current().is_sign("]")) {
    if (!node->parts.empty()) tokens_.expect_sign(",");
    if (tokens_.current().is_sign("]")) break;
    node->parts.push_back(expression());
  }
  tokens_.expect_sign("]");
  return finish(std::move(node));
}

ExpressionPtr ExpressionParser::literal_dict() {
  ExpressionPtr node = make(Expression::Kind::dict, tokens_.line());
  tokens_.expect_sign("{");
  while (!tokens_.current().is_sign("}")) {
    if (!node->parts.empty()) tokens_.expect_sign(",");
    if (tokens_.current().is_sign("}")) break;
    node->parts.push_back(expression());
    tokens_.expect_sign(":");
    node->parts.push_back(expression());
  }
  tokens_.expect_sign("}");
  return finish(std::move(node));
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr node) {
  while (true) {
    const Token& token = tokens_.current();
    if (token.is_sign(".") || token.is_sign("[")) node = subscript(std::move(node));
    else if (token.is_sign("(")) node = call(std::move(node));
    else return node;
  }
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr node) {
  while (true) {
    const Token& token = tokens_.current();
    if (token.is_sign("|")) node = filters(std::move(node));
    else if (token.is_name("is")) node = test(std::move(node));
    else if (token.is_sign("(")) node = call(std::move(node));
    else return node;
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr node) {
  const int line = tokens_.line();
  if (tokens_.skip_sign(".")) {
    const Token token = tokens_.next();
    ExpressionPtr found =
        make(token.kind == Token::Kind::name ? Expression::Kind::attribute : Expression::Kind::item, line);
    found->name = token.text;
    found->parts.push_back(std::move(node));
    if (token.kind == Token::Kind::integer) {
      found->parts.push_back(make(Expression::Kind::constant, line));
      found->parts.back()->constant = token.integer;
    } else if (token.kind != Token::Kind::name) {
      throw SyntaxFault(token.line, "want a name or a number behind '.'");
    }
    return finish(std::move(found));
  }
  tokens_.expect_sign("[");
  ExpressionPtr found = subscribed(std::move(node), line);
  if (tokens_.current().is_sign(",")) tokens_.fail("several values in a subscript are not supported");
  tokens_.expect_sign("]");
  return finish(std::move(found));
}

ExpressionPtr ExpressionParser::subscribed(ExpressionPtr node, int line) {
  ExpressionPtr found = make(Expression::Kind::item, line);
  found->parts.push_back(std::move(node));
  const auto ends = [&] {
    return tokens_.current().is_sign(":") || tokens_.current().is_sign("]") || tokens_.current().is_sign(",");
  };
  if (tokens_.current().is_sign("]")) tokens_.fail("an empty subscript");
  found->parts.push_back(ends() ? nullptr : expression());
  if (!tokens_.current().is_sign(":")) return found;
  found->kind = Expression::Kind::slice;
  for (int bound = 0; bound < 2; ++bound) {
    const bool given = tokens_.skip_sign(":") && !ends();
    found->parts.push_back(given ? expression() : nullptr);
  }
  return found;
}

}  // namespace tessera::text::jinja
