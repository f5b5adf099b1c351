// Tests of values (`x is defined`), and filters by name.
#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "text/jinja/functions.h"
#include "text/unicode.h"

namespace tessera::text::jinja {

namespace {
const std::unordered_map<std::string_view, Filter>& filters() {
  static const auto all = [] {
    std::unordered_map<std::string_view, Filter> named;
    for (const auto& room : {text_filters(), number_filters(), list_filters(), choice_filters()}) {
      for (const NamedFilter& one : room) named.emplace(one.name, one.filter);
    }
    return named;
  }();
  return all;
}

constexpr std::string_view test_names[] = {
    "defined",     "undefined", "none",        "boolean",  "true",   "false",    "integer", "float", "number", "string",
    "mapping",     "sequence",  "iterable",    "callable", "sameas", "in",       "odd",     "even",  "lower",  "upper",
    "escaped",     "filter",    "divisibleby", "==",       "eq",     "equalto",  "!=",      "ne",    ">",      "gt",
    "greaterthan", "ge",        ">=",          "<",        "lt",     "lessthan", "<=",      "le",    "test"};

std::optional<Operator> comparison_named(std::string_view name) {
  const auto among = [&](std::initializer_list<std::string_view> names) {
    return std::ranges::find(names, name) != names.end();
  };
  if (among({"==", "eq", "equalto"})) return Operator::equal;
  if (among({"!=", "ne"})) return Operator::unequal;
  if (among({">", "gt", "greaterthan"})) return Operator::greater;
  if (among({">=", "ge"})) return Operator::greater_equal;
  if (among({"<", "lt", "lessthan"})) return Operator::less;
  if (among({"<=", "le"})) return Operator::less_equal;
  if (name == "in") return Operator::in;
  return std::nullopt;
}

/// `x is sameas y`, as far as Python's identity does not depend on how it stores things.
bool same(const Value& a, const Value& b) {
  if (type_name(a) != type_name(b)) return false;
  if (a.is_none()) return true;
  if (a.is<bool>()) return a.get<bool>() == b.get<bool>();
  throw Fault("the test sameas of values of type '" + std::string(type_name(a)) + "' is not supported");
}

/// Of a text: all its letters have this case, and there is one.
bool has_case(const Value& value, bool upper, Budget& budget) {
  const MarkedText text = soft_text(value, budget);
  bool some = false;
  for (size_t at = 0; at < text.size();) {
    const Character c = character_at(text.bytes(), at);
    at += c.length;
    const bool right = upper ? is_upper(c.code) : is_lower(c.code);
    if (is_cased(c.code) && !right) return false;
    some = some || right;
  }
  return some;
}

/// A test without arguments that asks for the kind of a value; nothing for another name.
std::optional<bool> test_of_kind(std::string_view name, const Value& value) {
  if (name == "defined") return !value.is_undefined();
  if (name == "undefined") return value.is_undefined();
  if (name == "none") return value.is_none();
  if (name == "boolean") return value.is<bool>();
  if (name == "true" || name == "false") return value.is<bool>() && value.get<bool>() == (name == "true");
  if (name == "integer") return value.is<int64_t>();
  if (name == "float") return value.is<double>();
  if (name == "number") return value.is_number();
  if (name == "string") return value.is_text();
  if (name == "mapping") return value.is_dict();
  if (name == "iterable") return iterable(value);
  if (name == "sequence") {
    const bool indexed =
        value.is_list() && value.list().kind != List::Kind::view && value.list().kind != List::Kind::generator;
    return indexed || value.is_text() || value.is_dict() || value.is_undefined();
  }
  if (name == "callable")
    return value.is_undefined() || value.is<const Closure*>() || value.is<std::shared_ptr<const Method>>() ||
           value.is<Builtin>();
  if (name == "escaped") return value.is_text() && value.get<Words>().escaped;
  return std::nullopt;
}

int64_t remainder(const Value& value, int64_t by, Budget& budget) {
  const Value rest = binary(Operator::modulo, value, by, budget);
  if (!rest.is_number())
    throw Fault("a test of divisibility of a value of type '" + std::string(type_name(value)) + "'");
  return rest.is<double>() ? (rest.real() == 0 ? 0 : rest.real() == 1 ? 1 : 2) : rest.integer();
}
}  // namespace

bool has_filter(std::string_view name) { return filters().contains(name); }
bool is_missing_filter(std::string_view name) {
  constexpr std::string_view names[] = {"attr",   "center",    "filesizeformat", "forceescape", "groupby",
                                        "pprint", "random",    "slice",          "striptags",   "urlencode",
                                        "urlize", "wordcount", "wordwrap",       "xmlattr"};
  return std::ranges::find(names, name) != std::ranges::end(names);
}

bool has_test(std::string_view name) { return std::ranges::find(test_names, name) != std::ranges::end(test_names); }

Value apply_filter(std::string_view name, const Value& input, const Arguments& given, Budget& budget) {
  budget.step();
  const auto found = filters().find(name);
  if (found == filters().end()) throw Fault("the filter '" + std::string(name.substr(0, 40)) + "' is not supported");
  return found->second(input, given, budget);
}

bool apply_test(std::string_view name, const Value& input, const Arguments& given, Budget& budget) {
  budget.step();
  if (const auto op = comparison_named(name)) {
    const Bound other(given, {"other"}, 1, name);
    return compare(*op, input, other[0], budget);
  }
  if (name == "divisibleby") {
    const Bound by(given, {"num"}, 1, name);
    return remainder(input, by.integer(0, 1), budget) == 0;
  }
  if (name == "sameas") {
    const Bound other(given, {"other"}, 1, name);
    return same(input, other[0]);
  }
  const Bound none(given, {}, 0, "the test " + std::string(name.substr(0, 40)));
  if (const auto answer = test_of_kind(name, input)) return *answer;
  if (name == "odd") return remainder(input, 2, budget) == 1;
  if (name == "even") return remainder(input, 2, budget) == 0;
  if (name == "lower" || name == "upper") return has_case(input, name == "upper", budget);
  if (name == "filter") return input.is_text() && has_filter(input.text().bytes());
  if (name == "test") return input.is_text() && has_test(input.text().bytes());
  throw Fault("the test '" + std::string(name.substr(0, 40)) + "' is not supported");
}

}  // namespace tessera::text::jinja
