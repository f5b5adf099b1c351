// Operators, subscripts and attributes with Python's meaning, and the sandbox's limits: nothing that begins with an underscore, nothing that
// changes a list or a dict. Whole numbers have 64 bits; what does not fit is refused.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "text/jinja/functions.h"
#include "text/unicode.h"

namespace tessera::text::jinja {

namespace {
[[noreturn]] void fail_types(std::string_view op, const Value& left, const Value& right) {
  if (left.is_undefined()) fail_undefined(left, op);
  if (right.is_undefined()) fail_undefined(right, op);
  throw Fault("'" + std::string(op) + "' of values of type '" + std::string(type_name(left)) + "' and '" +
              std::string(type_name(right)) + "'");
}

/// `value` by reference: it is read once `overflow` is known.
int64_t checked(bool overflow, const int64_t& value) {
  if (overflow) throw Fault("a whole number leaves the range of 64 bits");
  return value;
}

bool is_method(const Value& value, std::string_view name) {
  constexpr std::string_view of_text[] = {
      "strip",        "lstrip",      "rstrip",    "split",     "rsplit",     "splitlines",   "startswith",
      "endswith",     "upper",       "lower",     "title",     "capitalize", "swapcase",     "replace",
      "find",         "rfind",       "index",     "rindex",    "count",      "removeprefix", "removesuffix",
      "join",         "isdigit",     "isdecimal", "isnumeric", "isalpha",    "isalnum",      "isspace",
      "isupper",      "islower",     "isascii",   "zfill",     "ljust",      "rjust",        "center",
      "partition",    "rpartition",  "casefold",  "encode",    "expandtabs", "format",       "format_map",
      "isidentifier", "isprintable", "istitle",   "maketrans", "translate"};
  constexpr std::string_view of_dict[] = {"items", "keys", "values", "get", "copy", "fromkeys"};
  constexpr std::string_view of_list[] = {"index", "count", "copy"};
  constexpr std::string_view of_number[] = {"real",       "imag",      "numerator", "denominator", "bit_length",
                                            "bit_count",  "conjugate", "to_bytes",  "from_bytes",  "as_integer_ratio",
                                            "is_integer", "hex",       "fromhex"};
  const auto among = [&](const auto& names) { return std::ranges::find(names, name) != std::ranges::end(names); };
  if (value.is_text()) return among(of_text);
  if (value.is_dict()) return among(of_dict);
  if (value.is_list()) return among(of_list);
  if (value.is<std::shared_ptr<Loop>>()) return name == "cycle" || name == "changed";
  if (value.is<const Closure*>()) return name == "arguments" || name == "catch_kwargs" || name == "caller";
  return value.is_number() && among(of_number);
}

Value loop_attribute(const Loop& loop, std::string_view name) {
  const auto at = static_cast<int64_t>(loop.at);
  const int64_t length = std::ssize(loop.items->items);
  if (name == "index") return at + 1;
  if (name == "index0") return at;
  if (name == "revindex") return length - at;
  if (name == "revindex0") return length - at - 1;
  if (name == "first") return at == 0;
  if (name == "last") return at + 1 == length;
  if (name == "length") return length;
  if (name == "depth") return int64_t{1};  // counts recursive loops, which there are none of
  if (name == "depth0") return int64_t{0};
  if (name == "previtem" && at > 0) return loop.items->items[loop.at - 1];
  if (name == "nextitem" && at + 1 < length) return loop.items->items[loop.at + 1];
  return Value::undefined();
}

/// The item of text or list at `at`, counted from the end where negative.
Value at_position(const Value& value, int64_t at, Budget& budget) {
  const auto inside = [&](int64_t length) {
    if (at < 0) at += length;
    return at >= 0 && at < length;
  };
  if (value.is_list()) {
    const List& list = value.list();
    const bool indexed = list.kind == List::Kind::list || list.kind == List::Kind::tuple;
    return indexed && inside(std::ssize(list.items)) ? list.items[static_cast<size_t>(at)] : Value::undefined();
  }
  budget.look(value.text().size());
  const std::vector<size_t> offsets = character_offsets(value.text().bytes());
  if (!inside(std::ssize(offsets) - 1)) return Value::undefined();
  const auto i = static_cast<size_t>(at);
  return make_text(value.text().part(offsets[i], offsets[i + 1]), budget);
}

Value repeated(const Value& value, int64_t times, Budget& budget) {
  const size_t count = times > 0 ? static_cast<size_t>(times) : 0;
  const size_t size = value.is_text() ? value.text().size() : value.list().items.size() * sizeof(Value);
  if (count > 0 && size > std::numeric_limits<size_t>::max() / 4 / count)
    throw Fault("a value repeated " + std::to_string(times) + " times is too large");
  budget.make(size * count);
  if (value.is_text()) {
    MarkedText text;
    for (size_t i = 0; i < count && size > 0; ++i) text.append(value.text());
    return make_text(std::move(text), budget);
  }
  std::vector<Value> items;
  for (size_t i = 0; i < count && size > 0; ++i)
    items.insert(items.end(), value.list().items.begin(), value.list().items.end());
  return make_list(std::move(items), budget, value.list().kind);
}

bool is_sequence(const Value& value) {
  return value.is_text() ||
         (value.is_list() && (value.list().kind == List::Kind::list || value.list().kind == List::Kind::tuple));
}

Value added(const Value& left, const Value& right, Budget& budget) {
  if (left.is_text() && right.is_text()) {
    const bool escaped = left.get<Words>().escaped || right.get<Words>().escaped;
    budget.make(left.text().size() + right.text().size());
    MarkedText text = escaped && !left.get<Words>().escaped ? escaped_text(left.text(), budget) : left.text();
    text.append(escaped && !right.get<Words>().escaped ? escaped_text(right.text(), budget) : right.text());
    return make_text(std::move(text), budget, escaped);
  }
  if (left.is_list() && right.is_list() && left.list().kind == right.list().kind && is_sequence(left)) {
    budget.make((left.list().items.size() + right.list().items.size()) * sizeof(Value));
    std::vector<Value> items = left.list().items;
    items.insert(items.end(), right.list().items.begin(), right.list().items.end());
    return make_list(std::move(items), budget, left.list().kind);
  }
  fail_types("+", left, right);
}

Value whole_numbers(Operator op, int64_t a, int64_t b) {
  int64_t value = 0;
  switch (op) {
    case Operator::add:
      return checked(__builtin_add_overflow(a, b, &value), value);
    case Operator::subtract:
      return checked(__builtin_sub_overflow(a, b, &value), value);
    case Operator::multiply:
      return checked(__builtin_mul_overflow(a, b, &value), value);
    case Operator::floor_divide:
    case Operator::modulo: {
      if (b == 0) throw Fault("division by zero");
      if (b == -1) return op == Operator::modulo ? int64_t{0} : checked(a == INT64_MIN, a == INT64_MIN ? 0 : -a);
      const int64_t rest = a % b;
      const bool below = rest != 0 && (rest < 0) != (b < 0);
      return op == Operator::modulo ? rest + (below ? b : 0) : a / b - (below ? 1 : 0);
    }
    case Operator::power: {
      if (b < 0) break;
      value = 1;
      bool overflow = false;
      if (a == 0 || a == 1) return b == 0 ? int64_t{1} : a;
      if (a == -1) return b % 2 == 0 ? int64_t{1} : a;
      for (int64_t i = 0; i < b && !overflow; ++i) overflow = __builtin_mul_overflow(value, a, &value);
      return checked(overflow, value);
    }
    default:
      break;
  }
  if (op == Operator::divide && b == 0) throw Fault("division by zero");
  if (op == Operator::power && a == 0) throw Fault("zero to a negative power");
  return op == Operator::power ? std::pow(static_cast<double>(a), static_cast<double>(b))
                               : static_cast<double>(a) / static_cast<double>(b);
}

Value real_numbers(Operator op, double a, double b) {
  const bool divides = op == Operator::divide || op == Operator::floor_divide || op == Operator::modulo;
  if (divides && b == 0) throw Fault("division by zero");
  switch (op) {
    case Operator::add:
      return a + b;
    case Operator::subtract:
      return a - b;
    case Operator::multiply:
      return a * b;
    case Operator::divide:
      return a / b;
    case Operator::floor_divide:
      return std::floor(a / b);
    case Operator::modulo: {
      const double rest = std::fmod(a, b);
      return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
    }
    default:
      return std::pow(a, b);
  }
}
}  // namespace

void fail_undefined(const Value& value, std::string_view what) {
  const std::string_view name = value.get<Undefined>().name;
  const std::string shown = name.empty() ? "a value" : "'" + std::string(name) + "'";
  throw Fault(shown + " is undefined, but is used by " + std::string(what));
}

Value attribute(const Value& value, std::string_view name, Budget& budget) {
  budget.step();
  if (value.is_undefined()) fail_undefined(value, "." + std::string(name));
  if (name.starts_with("_")) return Value::undefined();
  if (value.is<Namespace*>()) {
    const Value* const found = value.get<Namespace*>()->find(name);
    return found != nullptr ? *found : Value::undefined();
  }
  if (is_method(value, name)) {
    budget.make(sizeof(Method) + name.size());
    return Value(Value::Held(std::make_shared<const Method>(Method{value, std::string(name)})));
  }
  if (value.is<std::shared_ptr<Loop>>()) return loop_attribute(*value.get<std::shared_ptr<Loop>>(), name);
  if (!value.is_dict()) return Value::undefined();
  // what changes a dict is refused by the sandbox, whether or not there is such a key
  for (const std::string_view changes : {"clear", "pop", "popitem", "setdefault", "update"}) {
    if (name == changes) return Value::undefined();
  }
  const Value* const found = value.dict().find(name);
  return found != nullptr ? *found : Value::undefined();
}

Value item(const Value& value, const Value& key, Budget& budget) {
  budget.step();
  if (value.is_undefined()) fail_undefined(value, "a subscript");
  if (value.is_dict() && !key.is_undefined() && !key.is_list() && !key.is_dict()) {
    if (const Value* const found = value.dict().find(key)) return *found;
  } else if (key.is_integer() && (value.is_list() || value.is_text())) {
    return at_position(value, key.integer(), budget);
  }
  return key.is_text() ? attribute(value, key.text().bytes(), budget) : Value::undefined();
}

Value slice(const Value& value, const Value* from, const Value* to, const Value* step, Budget& budget) {
  if (value.is_undefined()) fail_undefined(value, "a slice");
  if (!is_sequence(value)) return Value::undefined();
  const auto bound = [](const Value* given, int64_t otherwise) {
    if (given == nullptr || given->is_none()) return otherwise;
    if (!given->is_integer()) throw Fault("a bound of a slice is of type '" + std::string(type_name(*given)) + "'");
    return given->integer();
  };
  std::vector<size_t> offsets;
  if (value.is_text()) offsets = character_offsets(value.text().bytes());
  budget.make(offsets.size() * sizeof(size_t));
  const int64_t length = value.is_text() ? std::ssize(offsets) - 1 : std::ssize(value.list().items);
  const int64_t by = bound(step, 1);
  if (by == 0) throw Fault("a slice whose step is zero");
  const auto clamped = [&](int64_t at) {
    if (at < 0) at = std::max<int64_t>(at + length, by < 0 ? -1 : 0);
    return std::min(at, by < 0 ? length - 1 : length);
  };
  const bool open_from = from == nullptr || from->is_none(), open_to = to == nullptr || to->is_none();
  int64_t at = open_from ? (by < 0 ? length - 1 : 0) : clamped(bound(from, 0));
  const int64_t end = open_to ? (by < 0 ? -1 : length) : clamped(bound(to, 0));
  if (value.is_text() && by == 1) {
    const auto begin = static_cast<size_t>(at);
    return make_text(value.text().part(offsets[begin], offsets[std::max(begin, static_cast<size_t>(end))]), budget);
  }
  MarkedText text;
  std::vector<Value> items;
  while (by > 0 ? at < end : at > end) {
    const auto i = static_cast<size_t>(at);
    if (value.is_text()) text.append_part(value.text(), offsets[i], offsets[i + 1]);
    else items.push_back(value.list().items[i]);
    if (__builtin_add_overflow(at, by, &at)) break;
  }
  return value.is_text() ? make_text(std::move(text), budget) : make_list(std::move(items), budget, value.list().kind);
}

Value binary(Operator op, const Value& left, const Value& right, Budget& budget) {
  constexpr std::array<std::string_view, 7> signs = {"+", "-", "*", "/", "//", "%", "**"};
  budget.step();
  if (left.is_number() && right.is_number()) {
    const bool real = left.is<double>() || right.is<double>();
    return real ? real_numbers(op, left.real(), right.real()) : whole_numbers(op, left.integer(), right.integer());
  }
  if (op == Operator::add) return added(left, right, budget);
  if (op == Operator::modulo && left.is_text()) return format_text(left.text(), right, budget);
  if (op == Operator::multiply && is_sequence(left) && right.is_integer())
    return repeated(left, right.integer(), budget);
  if (op == Operator::multiply && is_sequence(right) && left.is_integer())
    return repeated(right, left.integer(), budget);
  fail_types(signs[static_cast<size_t>(op)], left, right);
}

Value negate(const Value& value) {
  if (value.is_undefined()) fail_undefined(value, "'-'");
  if (value.is<double>()) return -value.get<double>();
  if (!value.is_integer()) throw Fault("'-' of a value of type '" + std::string(type_name(value)) + "'");
  return whole_numbers(Operator::subtract, 0, value.integer());
}

bool contains(const Value& all, const Value& one, Budget& budget) {
  if (all.is_undefined()) return false;
  if (all.is_text()) {
    if (!one.is_text())
      throw Fault("'in' of a text wants a text, got one of type '" + std::string(type_name(one)) + "'");
    budget.look(all.text().size());
    return all.text().bytes().find(one.text().bytes()) != std::string::npos;
  }
  if (all.is_dict()) return !one.is_undefined() && all.dict().find(one) != nullptr;
  for (const Value& item : iterate(all, budget)) {
    if (equal(item, one, budget)) return true;
  }
  return false;
}

bool compare(Operator op, const Value& left, const Value& right, Budget& budget) {
  switch (op) {
    case Operator::equal:
      return equal(left, right, budget);
    case Operator::unequal:
      return !equal(left, right, budget);
    case Operator::in:
      return contains(right, left, budget);
    case Operator::not_in:
      return !contains(right, left, budget);
    default:
      break;
  }
  if (left.is_undefined() || right.is_undefined()) fail_undefined(left.is_undefined() ? left : right, "a comparison");
  const bool not_a_number =
      (left.is<double>() && std::isnan(left.get<double>())) || (right.is<double>() && std::isnan(right.get<double>()));
  if (not_a_number) return false;
  switch (op) {
    case Operator::less:
      return less(left, right, budget);
    case Operator::greater:
      return less(right, left, budget);
    case Operator::less_equal:
      return !less(right, left, budget);
    default:
      return !less(left, right, budget);
  }
}

}  // namespace tessera::text::jinja
