// Statements of a template; see parser.h.
#include "text/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

namespace tessera::text::jinja {

void TokenStream::expect_sign(std::string_view sign) {
  if (!skip_sign(sign)) fail_at_current("'" + std::string(sign) + "'");
}

std::string TokenStream::expect_name() {
  if (current().kind != Token::Kind::name) fail_at_current("a name");
  return next().text;
}

void TokenStream::fail_at_current(std::string_view want) const {
  const Token& token = current();
  std::string got;
  switch (token.kind) {
    case Token::Kind::end:
      got = "the end of the template";
      break;
    case Token::Kind::tag_end:
      got = "the end of the tag";
      break;
    case Token::Kind::output_end:
      got = "the end of the output";
      break;
    case Token::Kind::name:
    case Token::Kind::sign:
    case Token::Kind::integer:
    case Token::Kind::real:
      got = "'" + token.text.substr(0, 40) + "'";
      break;
    default:
      got = "a string";
      break;
  }
  fail("got " + got + ", want " + std::string(want));
}

namespace {
class StatementParser {
 public:
  explicit StatementParser(std::string_view source) : tokens_(tokens_of(source)), expressions_(tokens_, budget_) {}

  Block all() {
    Block block = until({});
    if (tokens_.current().kind != Token::Kind::end) tokens_.fail_at_current("the end of the template");
    return block;
  }

 private:
  /// Statements up to a tag that begins with one of `ends`, whose name is the current token then.
  Block until(std::initializer_list<std::string_view> ends) {
    if (++open_ > deepest_syntax / 4)
      tokens_.fail("tags are nested deeper than " + std::to_string(deepest_syntax / 4) + " levels");
    Block block;
    while (tokens_.current().kind != Token::Kind::end) {
      const Token& token = tokens_.current();
      if (token.kind == Token::Kind::text) {
        Statement& made = add(block, Statement::Kind::text);
        made.text = make_text(tokens_.next().text, budget_);
      } else if (token.kind == Token::Kind::output_begin) {
        tokens_.next();
        add(block, Statement::Kind::output).expressions.push_back(expressions_.tuple());
        if (tokens_.current().kind != Token::Kind::output_end) tokens_.fail_at_current("'}}'");
        tokens_.next();
      } else {
        tokens_.next();
        if (std::ranges::any_of(ends, [&](std::string_view end) { return tokens_.current().is_name(end); })) {
          --open_;
          return block;
        }
        statement(block);
        end_tag();
      }
    }
    if (ends.size() > 0)
      tokens_.fail("the template ends before {% " + std::string(std::data(ends)[ends.size() - 1]) + " %}");
    --open_;
    return block;
  }

  void end_tag() {
    if (tokens_.current().kind != Token::Kind::tag_end) tokens_.fail_at_current("'%}'");
    tokens_.next();
  }

  Statement& add(Block& block, Statement::Kind kind) {
    Statement& made = block.emplace_back();
    made.kind = kind;
    made.line = tokens_.line();
    return made;
  }

  /// The body of a tag, from its end to one of `ends`.
  Block body(std::initializer_list<std::string_view> ends) {
    tokens_.skip_sign(":");
    end_tag();
    return until(ends);
  }
  Block body_to(std::string_view end) {
    Block block = body({end});
    tokens_.next();
    return block;
  }

  void statement(Block& block) {
    const Token& token = tokens_.current();
    if (token.kind != Token::Kind::name) tokens_.fail_at_current("the name of a tag");
    const std::string name = token.text;
    if (name == "for") return for_loop(block);
    if (name == "if") return condition(block);
    if (name == "set") return set(block);
    if (name == "macro") return macro(block);
    if (name == "call") return call_block(block);
    if (name == "filter") return filter_block(block);
    if (name == "with") return with(block);
    if (name == "generation") {
      Statement made = begin(Statement::Kind::generation);
      made.blocks.push_back(body_to("endgeneration"));
      block.push_back(std::move(made));
      return;
    }
    if (name == "print") {
      Statement made = begin(Statement::Kind::output);
      while (tokens_.current().kind != Token::Kind::tag_end) {
        if (!made.expressions.empty()) tokens_.expect_sign(",");
        made.expressions.push_back(expressions_.expression());
      }
      block.push_back(std::move(made));
      return;
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) tokens_.fail("{% " + name + " %} outside of a loop");
      block.push_back(begin(name == "break" ? Statement::Kind::break_loop : Statement::Kind::continue_loop));
      return;
    }
    tokens_.fail("the tag '" + name.substr(0, 40) + "' is not supported");
  }

  Statement begin(Statement::Kind kind) {
    Statement made;
    made.kind = kind;
    made.line = tokens_.line();
    tokens_.next();
    return made;
  }

  Target target(bool with_fields, bool until_in = false) {
    Target all;
    bool commas = false;
    while (true) {
      if (!all.several.empty() && (tokens_.current().is_sign("=") || (until_in && tokens_.current().is_name("in"))))
        break;
      all.several.push_back(one_target(with_fields));
      if (!tokens_.skip_sign(",")) break;
      commas = true;
    }
    if (commas) return all;
    Target one = std::move(all.several.front());
    return one;
  }

  Target one_target(bool with_fields) {
    if (tokens_.skip_sign("(")) {
      if (++open_ > deepest_syntax / 4) tokens_.fail("names to set are nested too deep");
      Target inner = target(with_fields);
      tokens_.expect_sign(")");
      --open_;
      return inner;
    }
    Target one{.name = tokens_.expect_name(), .field = {}, .several = {}};
    for (const char* constant : {"true", "false", "none", "True", "False", "None"}) {
      if (one.name == constant) tokens_.fail("'" + one.name + "' cannot be set");
    }
    if (with_fields && tokens_.skip_sign(".")) one.field = tokens_.expect_name();
    if (one.name == "loop" && one.field.empty()) tokens_.fail("'loop' cannot be set");
    return one;
  }

  void for_loop(Block& block) {
    Statement made = begin(Statement::Kind::for_loop);
    made.target = target(/*with_fields=*/false, /*until_in=*/true);
    if (!tokens_.skip_name("in")) tokens_.fail_at_current("'in'");
    made.expressions.push_back(expressions_.tuple(/*conditional=*/false));
    made.expressions.push_back(tokens_.skip_name("if") ? expressions_.expression() : nullptr);
    if (tokens_.current().is_name("recursive")) tokens_.fail("'recursive' loops are not supported");
    ++loops_;
    made.blocks.push_back(body({"endfor", "else"}));
    --loops_;
    const bool otherwise = tokens_.current().is_name("else");
    tokens_.next();
    made.blocks.push_back(otherwise ? body_to("endfor") : Block());
    block.push_back(std::move(made));
  }

  void condition(Block& block) {
    Statement made = begin(Statement::Kind::condition);
    while (true) {
      made.expressions.push_back(expressions_.tuple(/*conditional=*/false));
      made.blocks.push_back(body({"elif", "else", "endif"}));
      if (tokens_.skip_name("elif")) continue;
      if (tokens_.skip_name("else")) made.blocks.push_back(body_to("endif"));
      else tokens_.next();
      break;
    }
    block.push_back(std::move(made));
  }

  void set(Block& block) {
    Statement made = begin(Statement::Kind::set);
    made.target = target(/*with_fields=*/true);
    if (tokens_.skip_sign("=")) {
      made.expressions.push_back(expressions_.tuple());
    } else {
      made.kind = Statement::Kind::set_block;
      made.expressions.push_back(expressions_.filters(nullptr));
      made.blocks.push_back(body_to("endset"));
    }
    block.push_back(std::move(made));
  }

  Signature signature() {
    Signature found;
    tokens_.expect_sign("(");
    while (!tokens_.current().is_sign(")")) {
      if (!found.names.empty()) tokens_.expect_sign(",");
      found.names.push_back(tokens_.expect_name());
      if (tokens_.skip_sign("=")) found.defaults.push_back(expressions_.expression());
      else if (!found.defaults.empty()) tokens_.fail("a parameter without a default behind one with a default");
    }
    tokens_.expect_sign(")");
    return found;
  }

  /// The body of a macro or a call, up to `end`, with what it looks at of its call.
  void macro_body(Macro& macro, std::string_view end) {
    const size_t before = expressions_.used_names.size();
    const int loops = std::exchange(loops_, 0);
    macro.body = body_to(end);
    loops_ = loops;
    for (size_t i = before; i < expressions_.used_names.size(); ++i) {
      const std::string& name = expressions_.used_names[i];
      macro.uses_caller = macro.uses_caller || name == "caller";
      macro.uses_varargs = macro.uses_varargs || name == "varargs";
      macro.uses_kwargs = macro.uses_kwargs || name == "kwargs";
    }
  }

  void macro(Block& block) {
    Statement made = begin(Statement::Kind::macro);
    made.macro = std::make_unique<Macro>();
    made.macro->name = tokens_.expect_name();
    made.macro->signature = signature();
    macro_body(*made.macro, "endmacro");
    block.push_back(std::move(made));
  }

  void call_block(Block& block) {
    Statement made = begin(Statement::Kind::call_block);
    made.macro = std::make_unique<Macro>();
    made.macro->name = "caller";
    if (tokens_.current().is_sign("(")) made.macro->signature = signature();
    made.expressions.push_back(expressions_.expression());
    if (made.expressions[0]->kind != Expression::Kind::call) tokens_.fail("want a call in {% call %}");
    macro_body(*made.macro, "endcall");
    block.push_back(std::move(made));
  }

  void filter_block(Block& block) {
    Statement made = begin(Statement::Kind::filter_block);
    made.expressions.push_back(expressions_.filters(nullptr, /*first_without_pipe=*/true));
    made.blocks.push_back(body_to("endfilter"));
    block.push_back(std::move(made));
  }

  void with(Block& block) {
    Statement made = begin(Statement::Kind::with);
    while (tokens_.current().kind != Token::Kind::tag_end) {
      if (!made.targets.empty()) tokens_.expect_sign(",");
      made.targets.push_back(one_target(/*with_fields=*/false));
      tokens_.expect_sign("=");
      made.expressions.push_back(expressions_.expression());
    }
    made.blocks.push_back(body_to("endwith"));
    block.push_back(std::move(made));
  }

  Budget budget_{Limits{.bytes = int64_t{1} << 30}};  // a source is at most as large as the file that it came from
  TokenStream tokens_;
  ExpressionParser expressions_;
  int open_ = 0, loops_ = 0;
};
}  // namespace

Block parse(std::string_view source) { return StatementParser(source).all(); }

}  // namespace tessera::text::jinja
