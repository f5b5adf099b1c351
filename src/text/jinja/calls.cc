// Calls of one rendering: macros, methods and the functions that every template has; see evaluator.h.
#include <algorithm>

#include "text/jinja/evaluator.h"
#include "text/unicode.h"

namespace tessera::text::jinja {

namespace {
/// What changes a list or a dict; Jinja's immutable sandbox, which transformers uses, has none of them.
bool changes_values(std::string_view name) {
  constexpr std::string_view names[] = {"append", "clear",   "extend",     "insert", "pop",   "popitem",
                                        "remove", "reverse", "setdefault", "sort",   "update"};
  return std::ranges::find(names, name) != std::ranges::end(names);
}
}  // namespace

Value Evaluator::call(const Expression& node, const Closure* caller) {
  const Value function = evaluate(*node.parts[0]);
  Arguments given = arguments(node.call);
  line_ = node.line;
  if (function.is<const Closure*>()) return call_macro(*function.get<const Closure*>(), std::move(given), caller);
  if (caller != nullptr) throw Fault("{% call %} of what is no macro");
  if (function.is<std::shared_ptr<const Method>>())
    return call_method(*function.get<std::shared_ptr<const Method>>(), given, budget_);
  if (function.is<Builtin>()) return call_builtin(function.get<Builtin>(), given);
  if (function.is_undefined()) {
    const std::string_view name = function.get<Undefined>().name;
    if (changes_values(name))
      throw Fault("'" + std::string(name) + "' would change a list or a dict, which the sandbox does not allow");
    fail_undefined(function, "a call");
  }
  throw Fault("a value of type '" + std::string(type_name(function)) + "' is called");
}

Value Evaluator::call_macro(const Closure& closure, Arguments given, const Closure* caller) {
  if (macros_ >= budget_.limits().nested)
    throw Fault("macros call each other deeper than " + std::to_string(budget_.limits().nested) + " levels");
  MarkedText text;
  ++macros_;
  try {
    const OutputTo output(*this, text);
    InnerScope scope(*this, closure.scope);
    bind(*closure.macro, *scope, std::move(given), caller);
    run(closure.macro->body);
  } catch (...) {
    --macros_;
    throw;
  }
  --macros_;
  return make_text(std::move(text), budget_);
}

void Evaluator::bind(const Macro& macro, Scope& scope, Arguments given, const Closure* caller) {
  const std::vector<std::string>& names = macro.signature.names;
  const size_t direct = std::min(names.size(), given.positional.size());
  for (size_t i = 0; i < direct; ++i) scope.set(names[i], given.positional[i]);
  if (given.positional.size() > names.size() && !macro.uses_varargs)
    throw Fault("the macro '" + macro.name + "' takes at most " + std::to_string(names.size()) + " arguments");
  Dict spare;
  Value calls = caller != nullptr ? Value(Value::Held(caller)) : Value::undefined("caller");
  for (auto& [name, value] : given.keywords) {
    const auto found = std::ranges::find(names, name);
    if (found != names.end()) {
      if (found - names.begin() < std::ssize(given.positional))
        throw Fault("the macro '" + macro.name + "' is given the argument '" + name + "' twice");
      scope.set(*found, value);
    } else if (name == "caller" && macro.uses_caller) {
      calls = value;
    } else if (macro.uses_kwargs) {
      spare.set(make_text(name, budget_), value);
    } else {
      throw Fault("the macro '" + macro.name + "' has no argument '" + name + "'");
    }
  }
  if (caller != nullptr && !macro.uses_caller) throw Fault("the macro '" + macro.name + "' does not call its caller");
  const auto names_caller = std::ranges::find(names, "caller") != names.end();
  if (macro.uses_caller && !names_caller) scope.set("caller", calls);
  if (macro.uses_kwargs) scope.set("kwargs", make_dict(std::move(spare), budget_));
  if (macro.uses_varargs) {
    const auto rest = given.positional.begin() + static_cast<std::ptrdiff_t>(direct);
    scope.set("varargs", make_list({rest, given.positional.end()}, budget_, List::Kind::tuple));
  }
  const size_t first_default = names.size() - macro.signature.defaults.size();
  for (size_t i = direct; i < names.size(); ++i) {
    const bool set = std::ranges::any_of(scope.names, [&](const auto& entry) { return entry.first == names[i]; });
    if (set) continue;
    scope.set(names[i],
              i >= first_default ? evaluate(*macro.signature.defaults[i - first_default]) : Value::undefined(names[i]));
  }
}

Value Evaluator::call_builtin(Builtin function, const Arguments& given) {
  switch (function) {
    case Builtin::range:
      return range(given);
    case Builtin::dict:
      return make_dict(dict_from(given), budget_);
    case Builtin::make_namespace:
      return make_namespace(given);
    case Builtin::strftime_now:
      return formatted_now(given);
    case Builtin::raise_exception: {
      const Bound message(given, {"message"}, 1, "raise_exception");
      throw Refusal(soft_text(message[0], budget_).bytes());
    }
  }
  throw Fault("a function that is not known");
}

Value Evaluator::range(const Arguments& given) {
  constexpr int64_t largest = 100'000;  // as in Jinja's sandbox
  const Bound bounds(given, {"start", "stop", "step"}, 1, "range");
  for (size_t i = 0; i < 3; ++i) {
    if (bounds.given(i) && !bounds[i].is_integer()) throw Fault("range wants whole numbers");
  }
  const bool one = !bounds.given(1);
  const int64_t start = one ? 0 : bounds.integer(0, 0), stop = bounds.integer(one ? 0 : 1, 0),
                step = bounds.integer(2, 1);
  if (step == 0) throw Fault("range with a step of zero");
  int64_t at = start;
  std::vector<Value> items;
  while (step > 0 ? at < stop : at > stop) {
    if (std::ssize(items) == largest) throw Fault("range of more than " + std::to_string(largest) + " numbers");
    items.push_back(at);
    if (__builtin_add_overflow(at, step, &at)) break;
  }
  return make_list(std::move(items), budget_);
}

Dict Evaluator::dict_from(const Arguments& given) {
  Dict made;
  if (given.positional.size() > 1) throw Fault("dict takes at most one argument without a name");
  if (!given.positional.empty()) {
    const Value& from = given.positional[0];
    if (from.is_dict()) {
      made = from.dict();
    } else {
      for (const Value& pair : iterate(from, budget_)) {
        const auto parts = iterate(pair, budget_);
        if (parts->items.size() != 2) throw Fault("dict wants pairs of a key and a value");
        made.set(parts->items[0], parts->items[1]);
      }
    }
  }
  for (const auto& [name, value] : given.keywords) made.set(make_text(name, budget_), value);
  return made;
}

Value Evaluator::make_namespace(const Arguments& given) {
  const Dict fields = dict_from(given);
  budget_.make(sizeof(Namespace) + fields.entries.size() * sizeof(Value));
  auto made = std::make_unique<Namespace>();
  for (const auto& [key, value] : fields.entries) {
    if (!key.is_text()) throw Fault("namespace wants texts as names");
    if (key.text().bytes().starts_with("_")) throw Fault("a name of a namespace begins with an underscore");
    made->set(key.text().bytes(), value);
  }
  namespaces_.push_back(std::move(made));
  return Value(Value::Held(namespaces_.back().get()));
}

Value Evaluator::formatted_now(const Arguments& given) {
  const Bound format(given, {"format"}, 1, "strftime_now");
  const std::string& pattern = format.text(0).bytes();
  if (pattern.size() > 200) throw Fault("strftime_now of a format of more than 200 bytes");
  std::tm parts{};
  localtime_r(&now_, &parts);
  char text[4096];
  const size_t length = pattern.empty() ? 0 : std::strftime(text, sizeof text, pattern.c_str(), &parts);
  return make_text(to_utf8(std::string_view(text, length)), budget_);
}

}  // namespace tessera::text::jinja
