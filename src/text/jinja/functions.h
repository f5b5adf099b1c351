// Filters, tests, methods and operators: what a template can do with values. They keep the marks of texts, and each pays for what it makes.
#pragma once

#include <ctime>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/syntax.h"
#include "text/jinja/value.h"

namespace tessera::text::jinja {

/// Arguments of one call, evaluated.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keywords;
};

/// Arguments by the names of the parameters, as Python binds them.
class Bound {
 public:
  /// The first `required` of `names` must be given. Throws Fault; `what` names the function.
  Bound(const Arguments& given, std::initializer_list<std::string_view> names, size_t required, std::string_view what);
  bool given(size_t i) const { return given_[i] != nullptr; }
  const Value& operator[](size_t i) const;
  bool flag(size_t i, bool otherwise) const { return given(i) ? truthy(*given_[i]) : otherwise; }
  /// Throws Fault for what is no whole number, or none.
  int64_t integer(size_t i, int64_t otherwise) const;
  const MarkedText& text(size_t i) const;

 private:
  std::string what_;
  std::vector<const Value*> given_;
};

bool has_filter(std::string_view name);
bool has_test(std::string_view name);
/// A filter of Jinja's own that is not supported. Filters that nobody knows are refused once they are reached, as Jinja does.
bool is_missing_filter(std::string_view name);
Value apply_filter(std::string_view name, const Value& input, const Arguments& given, Budget& budget);
bool apply_test(std::string_view name, const Value& input, const Arguments& given, Budget& budget);

/// `name` of a value as Python's getattr, then as an item: undefined where there is neither.
Value attribute(const Value& value, std::string_view name, Budget& budget);
/// value[key]: as an item, then as an attribute.
Value item(const Value& value, const Value& key, Budget& budget);
/// value[from:to:step]; bounds are null or none where left out.
Value slice(const Value& value, const Value* from, const Value* to, const Value* step, Budget& budget);
Value call_method(const Method& method, const Arguments& given, Budget& budget);

Value binary(Operator op, const Value& left, const Value& right, Budget& budget);
Value negate(const Value& value);
bool compare(Operator op, const Value& left, const Value& right, Budget& budget);
bool contains(const Value& all, const Value& one, Budget& budget);
/// "%s" % values.
Value format_text(const MarkedText& format, const Value& values, Budget& budget);
/// "{} {name}".format(...), without conversions and specifications.
Value format_braces(const MarkedText& format, const Arguments& given, Budget& budget);

/// The text of a value for a function that wants text: of undefined "", as Jinja's soft_str.
MarkedText soft_text(const Value& value, Budget& budget);
/// With the signs of HTML spelled as entities.
MarkedText escaped_text(MarkedText text, Budget& budget);
[[noreturn]] void fail_undefined(const Value& value, std::string_view what);

// by room of functions, for apply_filter
using Filter = Value (*)(const Value& input, const Arguments& given, Budget& budget);
struct NamedFilter {
  std::string_view name;
  Filter filter;
};
std::vector<NamedFilter> text_filters();
std::vector<NamedFilter> number_filters();
std::vector<NamedFilter> list_filters();
std::vector<NamedFilter> choice_filters();

}  // namespace tessera::text::jinja
