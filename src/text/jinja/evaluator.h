// One rendering of a template. Scopes, namespaces and macros live as long as the rendering, so that values may point to them freely.
#pragma once

#include <ctime>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/functions.h"
#include "text/jinja/syntax.h"
#include "text/jinja/template.h"

namespace tessera::text::jinja {

struct Scope {
  Scope* parent = nullptr;
  std::vector<std::pair<std::string_view, Value>> names;
  bool captured = false;  // a macro defined inside looks at it later
  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);
};

/// A macro with the scope that it was defined in.
struct Closure {
  const Macro* macro = nullptr;
  Scope* scope = nullptr;
};

class Evaluator {
 public:
  Evaluator(Budget& budget, std::time_t now) : budget_(budget), now_(now) {}
  ~Evaluator();
  Evaluator(const Evaluator&) = delete;
  MarkedText run(const Block& body, const Variables& variables);
  int line() const { return line_; }

 private:
  enum class Flow { next, break_loop, continue_loop };
  class Nested;      // counts what is under way inside of each other
  class InnerScope;  // a scope for as long as it stands
  class OutputTo;    // what is written goes elsewhere for as long as it stands

  // statements (evaluator_statements.cc)
  Flow run(const Block& block);
  Flow run(const Statement& statement);
  void write(const Value& value);
  void write(const MarkedText& text);
  void run_for(const Statement& statement);
  Items loop_items(const Statement& statement);
  Flow run_condition(const Statement& statement);
  void assign(const Target& target, const Value& value);
  void run_call_block(const Statement& statement);
  MarkedText captured(const Block& block);
  void define(const Macro& macro);
  const Closure* closure_of(const Macro& macro);

  // expressions (evaluator.cc)
  Value evaluate(const Expression& node);
  Value name(const Expression& node);
  Value member(const Expression& node);
  Value sliced(const Expression& node);
  Value dict(const Expression& node);
  Value binary_of(const Expression& node);
  Value unary(const Expression& node);
  bool comparison(const Expression& node);
  Value filtered(const Expression& node, const Value* input);
  Arguments arguments(const CallSyntax& call);
  std::vector<Value> values_of(const std::vector<ExpressionPtr>& nodes);

  // calls (calls.cc)
  Value call(const Expression& node, const Closure* caller);
  Value call_macro(const Closure& closure, Arguments given, const Closure* caller);
  void bind(const Macro& macro, Scope& scope, Arguments given, const Closure* caller);
  Value call_builtin(Builtin function, const Arguments& given);
  Value range(const Arguments& given);
  Dict dict_from(const Arguments& given);
  Value make_namespace(const Arguments& given);
  Value formatted_now(const Arguments& given);

  Budget& budget_;
  std::time_t now_;
  int line_ = 1;
  int nested_ = 0;
  int64_t macros_ = 0;
  Scope* scope_ = nullptr;
  MarkedText* out_ = nullptr;
  std::vector<std::unique_ptr<Scope>> kept_scopes_;
  std::vector<std::unique_ptr<Namespace>> namespaces_;
  std::vector<std::unique_ptr<Closure>> closures_;
};

class Evaluator::Nested {
 public:
  explicit Nested(Evaluator& evaluator) : nested_(evaluator.nested_) {
    if (++nested_ > 1000) {
      --nested_;
      throw Fault("macros and expressions are nested too deep");
    }
  }
  ~Nested() { --nested_; }
  Nested(const Nested&) = delete;

 private:
  int& nested_;
};

class Evaluator::InnerScope {
 public:
  InnerScope(Evaluator& evaluator, Scope* parent) : evaluator_(evaluator), before_(evaluator.scope_) {
    scope_ = std::make_unique<Scope>();
    scope_->parent = parent;
    evaluator_.scope_ = scope_.get();
  }
  ~InnerScope() {
    evaluator_.scope_ = before_;
    if (scope_->captured) evaluator_.kept_scopes_.push_back(std::move(scope_));
  }
  InnerScope(const InnerScope&) = delete;
  Scope& operator*() { return *scope_; }
  /// Forgets the names; where a macro still looks at them, a new scope takes over.
  void renew() {
    if (!scope_->captured) return scope_->names.clear();
    auto fresh = std::make_unique<Scope>();
    fresh->parent = scope_->parent;
    evaluator_.kept_scopes_.push_back(std::move(scope_));
    scope_ = std::move(fresh);
    evaluator_.scope_ = scope_.get();
  }

 private:
  Evaluator& evaluator_;
  Scope* before_;
  std::unique_ptr<Scope> scope_;
};

class Evaluator::OutputTo {
 public:
  OutputTo(Evaluator& evaluator, MarkedText& out) : evaluator_(evaluator), before_(evaluator.out_) {
    evaluator.out_ = &out;
  }
  ~OutputTo() { evaluator_.out_ = before_; }
  OutputTo(const OutputTo&) = delete;

 private:
  Evaluator& evaluator_;
  MarkedText* before_;
};

}  // namespace tessera::text::jinja
