// Values of a template, with Python's meaning of equality, order, truth and text. Lists and dicts never change once made; only
// namespaces do, and the evaluator owns those, so that values cannot form a ring.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/json.h"
#include "text/jinja/budget.h"
#include "text/jinja/marked_text.h"

namespace tessera::text::jinja {

struct List;
struct Dict;
struct Namespace;
struct Closure;
struct Method;
struct Loop;

/// A name or an attribute that is not there. `name` lives as long as the template.
struct Undefined {
  std::string_view name;
};
struct None {};
/// A function that every template has.
enum class Builtin : uint8_t { range, dict, make_namespace, raise_exception, strftime_now };

/// A text; `escaped`: made by the filters escape and safe, after which Jinja's `+` behaves in another way.
struct Words {
  std::shared_ptr<const MarkedText> text;
  bool escaped = false;
};

class Value {
 public:
  using Held = std::variant<Undefined, None, bool, int64_t, double, Words, std::shared_ptr<const List>,
                            std::shared_ptr<const Dict>, Namespace*, const Closure*, std::shared_ptr<const Method>,
                            std::shared_ptr<Loop>, Builtin>;
  Value() = default;
  Value(None none) : held_(none) {}
  Value(bool value) : held_(value) {}
  Value(int64_t value) : held_(value) {}
  Value(double value) : held_(value) {}
  Value(Words words) : held_(std::move(words)) {}
  explicit Value(Held held) : held_(std::move(held)) {}
  static Value undefined(std::string_view name = {}) { return Value(Held(Undefined{name})); }

  template <class T> bool is() const { return std::holds_alternative<T>(held_); }
  template <class T> const T& get() const { return std::get<T>(held_); }
  bool is_undefined() const { return is<Undefined>(); }
  bool is_none() const { return is<None>(); }
  bool is_text() const { return is<Words>(); }
  bool is_dict() const { return is<std::shared_ptr<const Dict>>(); }
  bool is_list() const { return is<std::shared_ptr<const List>>(); }
  /// Whole number or truth value, which Python counts as one.
  bool is_integer() const { return is<int64_t>() || is<bool>(); }
  bool is_number() const { return is_integer() || is<double>(); }
  int64_t integer() const { return is<bool>() ? static_cast<int64_t>(get<bool>()) : get<int64_t>(); }
  double real() const { return is<double>() ? get<double>() : static_cast<double>(integer()); }
  const MarkedText& text() const { return *get<Words>().text; }
  const List& list() const { return *get<std::shared_ptr<const List>>(); }
  const Dict& dict() const { return *get<std::shared_ptr<const Dict>>(); }

 private:
  Held held_;
};

struct List {
  enum class Kind : uint8_t { list, tuple, view, generator };
  std::vector<Value> items;
  Kind kind = Kind::list;
  int depth = 1;              // of lists and dicts inside of each other
  mutable bool read = false;  // a generator gives its items once
};

struct Dict {
  std::vector<std::pair<Value, Value>> entries;  // in the order in which keys were first set
  std::unordered_map<std::string, size_t> index;
  int depth = 1;
  /// Null when there is none. Throws Fault for a key that Python cannot hash.
  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
  void set(const Value& key, Value value);
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> fields;
  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);
};

/// A function of a value's: `text.strip`, `dict.items`.
struct Method {
  Value self;
  std::string name;
};

/// `loop` inside a for.
struct Loop {
  std::shared_ptr<const List> items;
  size_t at = 0;
};

inline constexpr int deepest_value = 200;

Value make_text(MarkedText text, Budget& budget, bool escaped = false);
/// A text of the template's own.
Value make_text(std::string_view words, Budget& budget);
Value make_list(std::vector<Value> items, Budget& budget, List::Kind kind = List::Kind::list);
/// Pays for a finished dict. Throws Fault when values are nested too deep.
Value make_dict(Dict dict, Budget& budget);
/// Data of a caller's: every text has this origin, with anchors.
Value from_json(const Json& tree, Origin origin, Budget& budget, int depth = 0);

/// In the words of Python: "str", "int", "dict", ...
std::string_view type_name(const Value& value);
bool truthy(const Value& value);
bool equal(const Value& a, const Value& b, Budget& budget);
/// a < b. Throws Fault where Python has no order.
bool less(const Value& a, const Value& b, Budget& budget);
/// What a loop sees of a value. It holds the items, so that `for (const Value& item : iterate(value, budget))` is safe.
class Items {
 public:
  explicit Items(std::shared_ptr<const List> list) : list_(std::move(list)) {}
  const List* operator->() const { return list_.get(); }
  auto begin() const { return list_->items.begin(); }
  auto end() const { return list_->items.end(); }
  const std::shared_ptr<const List>& list() const { return list_; }

 private:
  std::shared_ptr<const List> list_;
};

/// Items of lists, keys of dicts, characters of texts. Throws Fault for what cannot be looped over.
Items iterate(const Value& value, Budget& budget);
bool iterable(const Value& value);
int64_t length_of(const Value& value);

/// As Python's str(): what a template writes. Texts keep their marks, those inside of lists and dicts too.
MarkedText written(const Value& value, Budget& budget);
/// A real number as Python writes it.
std::string real_text(double value);

struct JsonStyle {
  bool ascii = false, sorted = false;
  std::string indent;  // one level; used where `pretty`
  bool pretty = false;
  std::string between = ", ", colon = ": ";
};
/// As Python's json.dumps.
MarkedText json_text(const Value& value, const JsonStyle& style, Budget& budget);

}  // namespace tessera::text::jinja
