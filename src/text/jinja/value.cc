// See value.h. Values made here are paid for, and none is nested deeper than deepest_value, so that recursion over them ends.
#include "text/jinja/value.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text/unicode.h"

namespace tessera::text::jinja {

namespace {
/// Keys that Python takes for the same are the same text: 1, 1.0 and True.
std::string key_text(const Value& key) {
  if (key.is_text()) return "s" + key.text().bytes();
  if (key.is_none()) return "none";
  if (key.is_integer()) return "n" + std::to_string(key.integer());
  if (key.is<double>()) {
    const double real = key.get<double>();
    const bool whole = std::floor(real) == real && std::abs(real) < 9e15;
    return "n" + (whole ? std::to_string(static_cast<int64_t>(real)) : real_text(real));
  }
  throw Fault("a key of a dict is of type '" + std::string(type_name(key)) + "', want a text, a number or none");
}

int depth_of(const Value& value) {
  if (value.is_list()) return value.list().depth;
  if (value.is_dict()) return value.dict().depth;
  if (value.is<std::shared_ptr<Loop>>()) return 1 + value.get<std::shared_ptr<Loop>>()->items->depth;
  return value.is<std::shared_ptr<const Method>>() ? 1 + depth_of(value.get<std::shared_ptr<const Method>>()->self) : 0;
}

void require_depth(int depth) {
  if (depth > deepest_value)
    throw Fault("lists and dicts are nested deeper than " + std::to_string(deepest_value) + " levels");
}
}  // namespace

const Value* Dict::find(const Value& key) const {
  const auto found = index.find(key_text(key));
  return found == index.end() ? nullptr : &entries[found->second].second;
}

const Value* Dict::find(std::string_view key) const {
  const auto found = index.find("s" + std::string(key));
  return found == index.end() ? nullptr : &entries[found->second].second;
}

void Dict::set(const Value& key, Value value) {
  depth = std::max(depth, 1 + depth_of(value));
  const auto [found, fresh] = index.try_emplace(key_text(key), entries.size());
  if (fresh) entries.emplace_back(key, std::move(value));
  else entries[found->second].second = std::move(value);
}

const Value* Namespace::find(std::string_view name) const {
  const auto found = std::ranges::find(fields, name, &std::pair<std::string, Value>::first);
  return found == fields.end() ? nullptr : &found->second;
}

void Namespace::set(std::string_view name, Value value) {
  const auto found = std::ranges::find(fields, name, &std::pair<std::string, Value>::first);
  if (found != fields.end()) found->second = std::move(value);
  else fields.emplace_back(name, std::move(value));
}

Value make_text(MarkedText text, Budget& budget, bool escaped) {
  budget.make(sizeof(MarkedText) + text.size() + text.runs().size() * sizeof(Run));
  return Words{std::make_shared<const MarkedText>(std::move(text)), escaped};
}

Value make_text(std::string_view words, Budget& budget) {
  return make_text(MarkedText(std::string(words), {}), budget);
}

Value make_list(std::vector<Value> items, Budget& budget, List::Kind kind) {
  budget.make(sizeof(List) + items.size() * sizeof(Value));
  List list{.items = std::move(items), .kind = kind};
  for (const Value& item : list.items) list.depth = std::max(list.depth, 1 + depth_of(item));
  require_depth(list.depth);
  return Value(Value::Held(std::make_shared<const List>(std::move(list))));
}

Value make_dict(Dict dict, Budget& budget) {
  size_t bytes = sizeof(Dict);
  for (const auto& [key, unused] : dict.index) bytes += 3 * sizeof(Value) + key.size() + 32;
  budget.make(bytes);
  require_depth(dict.depth);
  return Value(Value::Held(std::make_shared<const Dict>(std::move(dict))));
}

Value from_json(const Json& tree, Origin origin, Budget& budget, int depth) {
  require_depth(depth);
  const auto text = [&](const std::string& words) {
    return make_text(MarkedText::anchored(to_utf8(words), origin), budget);
  };
  switch (tree.type()) {
    case Json::value_t::null:
      return None{};
    case Json::value_t::boolean:
      return tree.get<bool>();
    case Json::value_t::number_integer:
      return tree.get<int64_t>();
    case Json::value_t::number_unsigned:
      if (tree.get<uint64_t>() > INT64_MAX) throw Fault("the whole number " + tree.dump() + " is too large");
      return tree.get<int64_t>();
    case Json::value_t::number_float:
      return tree.get<double>();
    case Json::value_t::string:
      return text(tree.get_ref<const std::string&>());
    case Json::value_t::array: {
      std::vector<Value> items;
      for (const Json& item : tree) items.push_back(from_json(item, origin, budget, depth + 1));
      return make_list(std::move(items), budget);
    }
    case Json::value_t::object: {
      Dict dict;
      for (const auto& [key, item] : tree.items()) dict.set(text(key), from_json(item, origin, budget, depth + 1));
      return make_dict(std::move(dict), budget);
    }
    default:
      throw Fault("bytes that are no JSON");
  }
}

std::string_view type_name(const Value& value) {
  if (value.is_undefined()) return "Undefined";
  if (value.is_none()) return "NoneType";
  if (value.is<bool>()) return "bool";
  if (value.is<int64_t>()) return "int";
  if (value.is<double>()) return "float";
  if (value.is_text()) return "str";
  if (value.is_dict()) return "dict";
  if (value.is<Namespace*>()) return "Namespace";
  if (value.is<const Closure*>()) return "Macro";
  if (value.is<std::shared_ptr<Loop>>()) return "LoopContext";
  if (!value.is_list()) return "function";
  constexpr std::string_view kinds[] = {"list", "tuple", "dict view", "generator"};
  return kinds[static_cast<size_t>(value.list().kind)];
}

bool truthy(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (value.is_number()) return value.real() != 0;
  if (value.is_text()) return !value.text().empty();
  if (value.is_list()) return value.list().kind == List::Kind::generator || !value.list().items.empty();
  if (value.is_dict()) return !value.dict().entries.empty();
  return true;
}

bool equal(const Value& a, const Value& b, Budget& budget) {
  budget.step();
  if (a.is_number() && b.is_number())
    return a.is<double>() || b.is<double>() ? a.real() == b.real() : a.integer() == b.integer();
  if (a.is_text() && b.is_text()) {
    budget.look(std::min(a.text().size(), b.text().size()));
    return a.text().bytes() == b.text().bytes();
  }
  if (a.is_undefined() || a.is_none()) return a.is_undefined() == b.is_undefined() && a.is_none() == b.is_none();
  if (a.is_list() && b.is_list()) {
    if (&a.list() == &b.list()) return true;
    if (a.list().kind != b.list().kind || a.list().kind == List::Kind::generator) return false;
    if (a.list().items.size() != b.list().items.size()) return false;
    for (size_t i = 0; i < a.list().items.size(); ++i) {
      if (!equal(a.list().items[i], b.list().items[i], budget)) return false;
    }
    return true;
  }
  if (a.is_dict() && b.is_dict()) {
    if (a.dict().entries.size() != b.dict().entries.size()) return false;
    for (const auto& [key, value] : a.dict().entries) {
      const Value* const other = b.dict().find(key);
      if (other == nullptr || !equal(value, *other, budget)) return false;
    }
    return true;
  }
  if (a.is<Namespace*>() && b.is<Namespace*>()) return a.get<Namespace*>() == b.get<Namespace*>();
  if (a.is<const Closure*>() && b.is<const Closure*>()) return a.get<const Closure*>() == b.get<const Closure*>();
  return false;
}

bool less(const Value& a, const Value& b, Budget& budget) {
  budget.step();
  if (a.is_number() && b.is_number())
    return a.is<double>() || b.is<double>() ? a.real() < b.real() : a.integer() < b.integer();
  if (a.is_text() && b.is_text()) {
    budget.look(std::min(a.text().size(), b.text().size()));
    return a.text().bytes() < b.text().bytes();
  }
  const bool ordered = a.is_list() && b.is_list() && a.list().kind == b.list().kind &&
                       (a.list().kind == List::Kind::list || a.list().kind == List::Kind::tuple);
  if (!ordered)
    throw Fault("values of type '" + std::string(type_name(a)) + "' and '" + std::string(type_name(b)) +
                "' have no order");
  const auto& left = a.list().items;
  const auto& right = b.list().items;
  for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    if (!equal(left[i], right[i], budget)) return less(left[i], right[i], budget);
  }
  return left.size() < right.size();
}

bool iterable(const Value& value) {
  return value.is_undefined() || value.is_text() || value.is_list() || value.is_dict() ||
         value.is<std::shared_ptr<Loop>>();
}

Items iterate(const Value& value, Budget& budget) {
  static const auto nothing = std::make_shared<const List>();
  if (value.is_undefined()) return Items(nothing);
  if (value.is_list()) {
    if (value.list().kind != List::Kind::generator) return Items(value.get<std::shared_ptr<const List>>());
    return Items(std::exchange(value.list().read, true) ? nothing : value.get<std::shared_ptr<const List>>());
  }
  std::vector<Value> items;
  if (value.is_dict()) {
    for (const auto& [key, unused] : value.dict().entries) items.push_back(key);
  } else if (value.is_text()) {
    const std::vector<size_t> offsets = character_offsets(value.text().bytes());
    budget.make(offsets.size() * sizeof(size_t));
    for (size_t i = 0; i + 1 < offsets.size(); ++i)
      items.push_back(make_text(value.text().part(offsets[i], offsets[i + 1]), budget));
  } else {
    throw Fault("a value of type '" + std::string(type_name(value)) + "' cannot be looped over");
  }
  return Items(make_list(std::move(items), budget).get<std::shared_ptr<const List>>());
}

int64_t length_of(const Value& value) {
  if (value.is_undefined()) return 0;
  if (value.is_text()) return static_cast<int64_t>(count_characters(value.text().bytes()));
  if (value.is_dict()) return std::ssize(value.dict().entries);
  if (value.is_list() && value.list().kind != List::Kind::generator) return std::ssize(value.list().items);
  throw Fault("a value of type '" + std::string(type_name(value)) + "' has no length");
}

}  // namespace tessera::text::jinja
