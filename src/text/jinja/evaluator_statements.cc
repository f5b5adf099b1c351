// Statements of one rendering; see evaluator.h. Only loops, macros, calls, with and captured blocks open a scope; if does not.
#include <algorithm>

#include "text/jinja/evaluator.h"

namespace tessera::text::jinja {

Evaluator::Flow Evaluator::run(const Block& block) {
  for (const Statement& statement : block) {
    if (const Flow flow = run(statement); flow != Flow::next) return flow;
  }
  return Flow::next;
}

Evaluator::Flow Evaluator::run(const Statement& statement) {
  using Kind = Statement::Kind;
  const Nested nested(*this);
  budget_.step();
  line_ = statement.line;
  switch (statement.kind) {
    case Kind::text:
      write(statement.text.text());
      return Flow::next;
    case Kind::output:
      for (const ExpressionPtr& node : statement.expressions) write(evaluate(*node));
      return Flow::next;
    case Kind::for_loop:
      run_for(statement);
      return Flow::next;
    case Kind::condition:
      return run_condition(statement);
    case Kind::set:
      assign(statement.target, evaluate(*statement.expressions[0]));
      return Flow::next;
    case Kind::set_block:
    case Kind::filter_block: {
      Value text = make_text(captured(statement.blocks[0]), budget_);
      if (statement.expressions[0]) text = filtered(*statement.expressions[0], &text);
      if (statement.kind == Kind::set_block) assign(statement.target, text);
      else write(text);
      return Flow::next;
    }
    case Kind::macro:
      define(*statement.macro);
      return Flow::next;
    case Kind::call_block:
      run_call_block(statement);
      return Flow::next;
    case Kind::with: {
      const std::vector<Value> values = values_of(statement.expressions);
      const InnerScope scope(*this, scope_);
      for (size_t i = 0; i < values.size(); ++i) assign(statement.targets[i], values[i]);
      return run(statement.blocks[0]);
    }
    case Kind::generation: {
      MarkedText said = captured(statement.blocks[0]);
      said.mark_generated();
      write(said);
      return Flow::next;
    }
    case Kind::break_loop:
      return Flow::break_loop;
    case Kind::continue_loop:
      return Flow::continue_loop;
  }
  return Flow::next;
}

void Evaluator::write(const MarkedText& text) {
  budget_.make(text.size());
  out_->append(text);
}

void Evaluator::write(const Value& value) {
  if (value.is_text()) write(value.text());
  else write(written(value, budget_));
}

MarkedText Evaluator::captured(const Block& block) {
  MarkedText text;
  const OutputTo output(*this, text);
  const InnerScope scope(*this, scope_);
  run(block);
  return text;
}

Evaluator::Flow Evaluator::run_condition(const Statement& statement) {
  for (size_t i = 0; i < statement.blocks.size(); ++i) {
    const bool otherwise = i == statement.expressions.size();
    if (otherwise || truthy(evaluate(*statement.expressions[i]))) return run(statement.blocks[i]);
  }
  return Flow::next;
}

/// The items of a loop, without those that its `if` leaves out.
Items Evaluator::loop_items(const Statement& statement) {
  const Value all = evaluate(*statement.expressions[0]);
  line_ = statement.line;
  Items items = iterate(all, budget_);
  if (!statement.expressions[1]) return items;
  std::vector<Value> kept;
  InnerScope scope(*this, scope_);
  for (const Value& item : items) {
    scope.renew();
    assign(statement.target, item);
    if (truthy(evaluate(*statement.expressions[1]))) kept.push_back(item);
  }
  return Items(make_list(std::move(kept), budget_).get<std::shared_ptr<const List>>());
}

void Evaluator::run_for(const Statement& statement) {
  const Items items = loop_items(statement);
  if (items->items.empty()) {
    const InnerScope scope(*this, scope_);
    run(statement.blocks[1]);
    return;
  }
  const auto loop = std::make_shared<Loop>();
  loop->items = items.list();
  InnerScope scope(*this, scope_);
  for (; loop->at < items->items.size(); ++loop->at) {
    budget_.step();
    scope.renew();
    assign(statement.target, items->items[loop->at]);
    scope_->set("loop", Value(Value::Held(loop)));
    if (run(statement.blocks[0]) == Flow::break_loop) break;
  }
}

void Evaluator::assign(const Target& target, const Value& value) {
  if (!target.several.empty()) {
    const auto items = iterate(value, budget_);
    if (items->items.size() != target.several.size())
      throw Fault(std::to_string(target.several.size()) + " names are set from " + std::to_string(items->items.size()) +
                  " values");
    for (size_t i = 0; i < items->items.size(); ++i) assign(target.several[i], items->items[i]);
    return;
  }
  if (target.field.empty()) return scope_->set(target.name, value);
  const Value* const found = scope_->find(target.name);
  if (found == nullptr || !found->is<Namespace*>())
    throw Fault("'" + target.name + "." + target.field + "' is set, but '" + target.name + "' is no namespace");
  if (target.field.starts_with("_")) throw Fault("a name of a namespace begins with an underscore");
  found->get<Namespace*>()->set(target.field, value);
}

const Closure* Evaluator::closure_of(const Macro& macro) {
  budget_.make(sizeof(Closure) + sizeof(Scope));
  for (Scope* scope = scope_; scope != nullptr; scope = scope->parent) scope->captured = true;
  closures_.push_back(std::make_unique<Closure>(Closure{&macro, scope_}));
  return closures_.back().get();
}

void Evaluator::define(const Macro& macro) { scope_->set(macro.name, Value(Value::Held(closure_of(macro)))); }

void Evaluator::run_call_block(const Statement& statement) {
  write(call(*statement.expressions[0], closure_of(*statement.macro)));
}

}  // namespace tessera::text::jinja
