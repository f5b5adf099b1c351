// Expressions of one rendering; see evaluator.h.
#include "text/jinja/evaluator.h"

#include <algorithm>

namespace tessera::text::jinja {

const Value* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent) {
    for (const auto& [known, value] : scope->names) {
      if (known == name) return &value;
    }
  }
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  for (auto& [known, held] : names) {
    if (known != name) continue;
    held = std::move(value);
    return;
  }
  names.emplace_back(name, std::move(value));
}

Evaluator::~Evaluator() {
  // namespaces may hold each other's lists: emptied before any of them goes
  for (const auto& one : namespaces_) one->fields.clear();
}

MarkedText Evaluator::run(const Block& body, const Variables& variables) {
  MarkedText out;
  const OutputTo output(*this, out);
  InnerScope scope(*this, nullptr);
  for (const auto& [name, value] : variables) (*scope).set(name, value);
  run(body);
  return out;
}

Value Evaluator::evaluate(const Expression& node) {
  using Kind = Expression::Kind;
  const Nested nested(*this);
  budget_.step();
  line_ = node.line;
  switch (node.kind) {
    case Kind::constant:
      return node.constant;
    case Kind::name:
      return name(node);
    case Kind::list:
      return make_list(values_of(node.parts), budget_);
    case Kind::tuple:
      return make_list(values_of(node.parts), budget_, List::Kind::tuple);
    case Kind::dict:
      return dict(node);
    case Kind::attribute:
    case Kind::item:
      return member(node);
    case Kind::slice:
      return sliced(node);
    case Kind::call:
      return call(node, nullptr);
    case Kind::filter:
      return filtered(node, nullptr);
    case Kind::test: {
      const Value value = evaluate(*node.parts[0]);
      const Arguments given = arguments(node.call);
      line_ = node.line;
      return apply_test(node.name, value, given, budget_);
    }
    case Kind::unary:
      return unary(node);
    case Kind::binary:
      return binary_of(node);
    case Kind::comparison:
      return comparison(node);
    case Kind::concatenation: {
      MarkedText text;
      for (const ExpressionPtr& part : node.parts) {
        text.append(soft_text(evaluate(*part), budget_));
      }
      return make_text(std::move(text), budget_);
    }
    case Kind::conditional:
      if (truthy(evaluate(*node.parts[0]))) return evaluate(*node.parts[1]);
      return node.parts[2] ? evaluate(*node.parts[2]) : Value::undefined();
  }
  throw Fault("an expression of an unknown kind");
}

Value Evaluator::name(const Expression& node) {
  if (const Value* const found = scope_->find(node.name)) return *found;
  constexpr std::pair<std::string_view, Builtin> builtins[] = {{"range", Builtin::range},
                                                               {"dict", Builtin::dict},
                                                               {"namespace", Builtin::make_namespace},
                                                               {"raise_exception", Builtin::raise_exception},
                                                               {"strftime_now", Builtin::strftime_now}};
  for (const auto& [name, function] : builtins) {
    if (node.name == name) return Value(Value::Held(function));
  }
  for (const std::string_view unsupported : {"lipsum", "cycler", "joiner"}) {
    if (node.name == unsupported) throw Fault("the function '" + node.name + "' is not supported");
  }
  return Value::undefined(node.name);
}

/// a.name and a[b]; what is not there knows what it was called.
Value Evaluator::member(const Expression& node) {
  const Value value = evaluate(*node.parts[0]);
  if (node.kind == Expression::Kind::attribute) {
    line_ = node.line;
    Value found = attribute(value, node.name, budget_);
    return found.is_undefined() ? Value::undefined(node.name) : found;
  }
  const Value key = evaluate(*node.parts[1]);
  line_ = node.line;
  Value found = item(value, key, budget_);
  const bool named = found.is_undefined() && node.parts[1]->kind == Expression::Kind::constant && key.is_text();
  return named ? Value::undefined(node.parts[1]->constant.text().bytes()) : found;
}

Value Evaluator::sliced(const Expression& node) {
  const Value value = evaluate(*node.parts[0]);
  Value bounds[3];
  for (size_t i = 0; i < 3; ++i) bounds[i] = node.parts[i + 1] ? evaluate(*node.parts[i + 1]) : Value(None{});
  line_ = node.line;
  return slice(value, &bounds[0], &bounds[1], &bounds[2], budget_);
}

std::vector<Value> Evaluator::values_of(const std::vector<ExpressionPtr>& nodes) {
  std::vector<Value> values;
  values.reserve(nodes.size());
  for (const ExpressionPtr& node : nodes) values.push_back(evaluate(*node));
  return values;
}

Value Evaluator::dict(const Expression& node) {
  Dict made;
  for (size_t i = 0; i + 1 < node.parts.size(); i += 2) {
    const Value key = evaluate(*node.parts[i]);
    made.set(key, evaluate(*node.parts[i + 1]));
  }
  return make_dict(std::move(made), budget_);
}

Value Evaluator::unary(const Expression& node) {
  const Value value = evaluate(*node.parts[0]);
  line_ = node.line;
  switch (node.operators[0]) {
    case Operator::logical_not:
      return !truthy(value);
    case Operator::negate:
      return negate(value);
    default:
      return value.is<double>() ? value : negate(negate(value));
  }
}

Value Evaluator::binary_of(const Expression& node) {
  const Operator op = node.operators[0];
  const Value left = evaluate(*node.parts[0]);
  if (op == Operator::logical_and) return truthy(left) ? evaluate(*node.parts[1]) : left;
  if (op == Operator::logical_or) return truthy(left) ? left : evaluate(*node.parts[1]);
  const Value right = evaluate(*node.parts[1]);
  line_ = node.line;
  return binary(op, left, right, budget_);
}

bool Evaluator::comparison(const Expression& node) {
  Value left = evaluate(*node.parts[0]);
  for (size_t i = 0; i < node.operators.size(); ++i) {
    Value right = evaluate(*node.parts[i + 1]);
    line_ = node.line;
    if (!compare(node.operators[i], left, right, budget_)) return false;
    left = std::move(right);
  }
  return true;
}

/// `input`: of the innermost filter where the node has none, in a block.
Value Evaluator::filtered(const Expression& node, const Value* input) {
  const Nested nested(*this);
  const ExpressionPtr& inner = node.parts[0];
  Value value;
  if (!inner) value = *input;
  else if (inner->kind == Expression::Kind::filter) value = filtered(*inner, input);
  else value = evaluate(*inner);
  const Arguments given = arguments(node.call);
  line_ = node.line;
  return apply_filter(node.name, value, given, budget_);
}

Arguments Evaluator::arguments(const CallSyntax& call) {
  Arguments given{.positional = values_of(call.positional), .keywords = {}};
  for (const auto& [name, node] : call.keywords) given.keywords.emplace_back(name, evaluate(*node));
  if (call.list) {
    const auto items = iterate(evaluate(*call.list), budget_);
    budget_.make(items->items.size() * sizeof(Value));
    given.positional.insert(given.positional.end(), items->items.begin(), items->items.end());
  }
  if (!call.dict) return given;
  const Value all = evaluate(*call.dict);
  if (!all.is_dict()) throw Fault("** wants a dict, got a value of type '" + std::string(type_name(all)) + "'");
  for (const auto& [key, value] : all.dict().entries) {
    if (!key.is_text()) throw Fault("** wants texts as keys");
    budget_.make(key.text().size() + sizeof(Value));
    given.keywords.emplace_back(key.text().bytes(), value);
  }
  return given;
}

}  // namespace tessera::text::jinja
