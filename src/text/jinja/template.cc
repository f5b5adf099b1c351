// See template.h.
#include "text/jinja/template.h"

#include <algorithm>

#include "text/jinja/evaluator.h"
#include "text/jinja/parser.h"
#include "text/unicode.h"

namespace tessera::text::jinja {

namespace {
bool has_generation(const Block& block) {
  return std::ranges::any_of(block, [](const Statement& statement) {
    return statement.kind == Statement::Kind::generation || std::ranges::any_of(statement.blocks, has_generation) ||
           (statement.macro && has_generation(statement.macro->body));
  });
}

Block parsed(std::string_view source) {
  try {
    return parse(to_utf8(source));
  } catch (const SyntaxFault& fault) {
    throw TemplateFault(fault.line(), false, fault.what());
  } catch (const Fault& fault) {
    throw TemplateFault(1, false, fault.what());
  }
}
}  // namespace

Template::Template(std::string_view source)
    : body_(std::make_shared<const Block>(parsed(source))), marks_generation_(has_generation(*body_)) {}

MarkedText Template::render(const Variables& variables, Budget& budget, std::time_t now) const {
  Evaluator evaluator(budget, now);
  try {
    return evaluator.run(*body_, variables);
  } catch (const Refusal& refusal) {
    throw TemplateFault(evaluator.line(), true, refusal.what());
  } catch (const Fault& fault) {
    throw TemplateFault(evaluator.line(), false, fault.what());
  }
}

}  // namespace tessera::text::jinja
