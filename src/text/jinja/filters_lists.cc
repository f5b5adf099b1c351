// Filters over lists and dicts. What Jinja makes as a generator gives its items once here too.
#include <algorithm>

#include "text/jinja/functions.h"

namespace tessera::text::jinja {

namespace {

/// An attribute by its path, "address.city", or by a number; the item itself where there is none.
Value attribute_by_path(const Value& item_, const Value& path, const Value* otherwise, Budget& budget) {
  if (path.is_none() || path.is_undefined()) return item_;
  std::vector<Value> parts;
  if (path.is_text()) {
    for (MarkedText& part : split_at(path.text(), ".", -1, false)) {
      const std::string& name = part.bytes();
      const bool number =
          !name.empty() && name.size() < 18 && name.find_first_not_of("0123456789") == std::string::npos;
      parts.push_back(number ? Value(static_cast<int64_t>(std::stoll(name))) : make_text(std::move(part), budget));
    }
  } else {
    parts.push_back(path);
  }
  Value found = item_;
  for (const Value& part : parts) {
    found = item(found, part, budget);
    if (found.is_undefined() && otherwise != nullptr && !otherwise->is_none()) found = *otherwise;
  }
  return found;
}

Value without_case(const Value& value, bool case_sensitive, Budget& budget) {
  return value.is_text() && !case_sensitive ? make_text(change_case(value.text(), Case::lower), budget) : value;
}

Value length(const Value& input, const Arguments& arguments, Budget&) {
  const Bound none(arguments, {}, 0, "length");
  return length_of(input);
}

Value first(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound none(arguments, {}, 0, "first");
  const Items items = iterate(input, budget);
  return items->items.empty() ? Value::undefined() : items->items.front();
}

Value last(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound none(arguments, {}, 0, "last");
  if (input.is_list() && input.list().kind == List::Kind::generator)
    throw Fault("last of a generator; want the filter list before it");
  const Items items = iterate(input, budget);
  return items->items.empty() ? Value::undefined() : items->items.back();
}

Value as_list(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound none(arguments, {}, 0, "list");
  return make_list(iterate(input, budget)->items, budget);
}

Value entries(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound none(arguments, {}, 0, "items");
  if (input.is_undefined()) return make_list({}, budget, List::Kind::generator);
  if (!input.is_dict()) throw Fault("items of a value of type '" + std::string(type_name(input)) + "', want a dict");
  std::vector<Value> items;
  for (const auto& [key, value] : input.dict().entries)
    items.push_back(make_list({key, value}, budget, List::Kind::tuple));
  return make_list(std::move(items), budget, List::Kind::generator);
}

Value reversed(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound none(arguments, {}, 0, "reverse");
  if (input.is_text()) {
    const Value step(int64_t{-1});
    return slice(input, nullptr, nullptr, &step, budget);
  }
  std::vector<Value> items = iterate(input, budget)->items;
  std::ranges::reverse(items);
  const bool generator = input.is_list() && input.list().kind == List::Kind::generator;
  return make_list(std::move(items), budget, generator ? List::Kind::list : List::Kind::generator);
}

Value joined(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"d", "attribute"}, 0, "join");
  const MarkedText separator = given.given(0) ? soft_text(given[0], budget) : MarkedText();
  MarkedText all;
  bool begun = false;
  for (const Value& one : iterate(input, budget)) {
    const MarkedText text = soft_text(given.given(1) ? attribute_by_path(one, given[1], nullptr, budget) : one, budget);
    budget.make(separator.size() + text.size());
    if (begun) all.append(separator);
    begun = true;
    all.append(text);
  }
  return make_text(std::move(all), budget);
}

struct SortKey {
  std::vector<Value> parts;
  Value item;
};

/// Sorted as Python's sorted(), which leaves equal items in their order, also backwards.
std::vector<Value> in_order(std::vector<SortKey> keys, bool backwards, Budget& budget) {
  budget.make(keys.size() * sizeof(SortKey));
  const auto before = [&](const SortKey& a, const SortKey& b) {
    for (size_t i = 0; i < a.parts.size(); ++i) {
      if (!equal(a.parts[i], b.parts[i], budget)) return less(a.parts[i], b.parts[i], budget);
    }
    return false;
  };
  std::ranges::stable_sort(keys,
                           [&](const SortKey& a, const SortKey& b) { return backwards ? before(b, a) : before(a, b); });
  std::vector<Value> items;
  for (SortKey& key : keys) items.push_back(std::move(key.item));
  return items;
}

Value sorted(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"reverse", "case_sensitive", "attribute"}, 0, "sort");
  std::vector<Value> paths = {given[2]};
  if (given[2].is_text()) {
    paths.clear();
    for (MarkedText& path : split_at(given.text(2), ",", -1, false))
      paths.push_back(make_text(std::move(path), budget));
  }
  std::vector<SortKey> keys;
  for (const Value& one : iterate(input, budget)) {
    SortKey& key = keys.emplace_back();
    key.item = one;
    for (const Value& path : paths)
      key.parts.push_back(without_case(attribute_by_path(one, path, nullptr, budget), given.flag(1, false), budget));
  }
  return make_list(in_order(std::move(keys), given.flag(0, false), budget), budget);
}

Value dict_sorted(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"case_sensitive", "by", "reverse"}, 0, "dictsort");
  if (!input.is_dict()) throw Fault("dictsort of a value of type '" + std::string(type_name(input)) + "', want a dict");
  const std::string by = given.given(1) ? given.text(1).bytes() : "key";
  if (by != "key" && by != "value") throw Fault("dictsort wants key or value to sort by");
  std::vector<SortKey> keys;
  for (const auto& [key, value] : input.dict().entries) {
    SortKey& made = keys.emplace_back();
    made.parts = {without_case(by == "key" ? key : value, given.flag(0, false), budget)};
    made.item = make_list({key, value}, budget, List::Kind::tuple);
  }
  return make_list(in_order(std::move(keys), given.flag(2, false), budget), budget);
}

template <bool largest> Value extreme(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"case_sensitive", "attribute"}, 0, largest ? "max" : "min");
  Value best, best_key;
  bool some = false;
  for (const Value& one : iterate(input, budget)) {
    const Value key = without_case(attribute_by_path(one, given[1], nullptr, budget), given.flag(0, false), budget);
    if (some && !(largest ? less(best_key, key, budget) : less(key, best_key, budget))) continue;
    best = one;
    best_key = key;
    some = true;
  }
  return best;
}

Value unique(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"case_sensitive", "attribute"}, 0, "unique");
  std::vector<Value> kept, keys;
  for (const Value& one : iterate(input, budget)) {
    const Value key = without_case(attribute_by_path(one, given[1], nullptr, budget), given.flag(0, false), budget);
    if (std::ranges::any_of(keys, [&](const Value& seen) { return equal(seen, key, budget); })) continue;
    keys.push_back(key);
    kept.push_back(one);
  }
  return make_list(std::move(kept), budget, List::Kind::generator);
}

Value total_of(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"attribute", "start"}, 0, "sum");
  Value total = given.given(1) ? given[1] : Value(int64_t{0});
  for (const Value& one : iterate(input, budget)) {
    const Value value = given.given(0) ? attribute_by_path(one, given[0], nullptr, budget) : one;
    if (value.is_text()) throw Fault("sum of texts; want the filter join");
    total = binary(Operator::add, total, value, budget);
  }
  return total;
}

Value batched(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"linecount", "fill_with"}, 1, "batch");
  const int64_t count = given.integer(0, 1);
  if (count < 1 || count > 100'000) throw Fault("batch wants from 1 to 100000 items in a line");
  std::vector<Value> lines, line;
  const Items all = iterate(input, budget);
  for (size_t i = 0; i < all->items.size(); ++i) {
    line.push_back(all->items[i]);
    if (std::ssize(line) < count && i + 1 < all->items.size()) continue;
    if (given.given(1) && !given[1].is_none()) line.resize(static_cast<size_t>(count), given[1]);
    lines.push_back(make_list(std::exchange(line, {}), budget));
  }
  return make_list(std::move(lines), budget, List::Kind::generator);
}

Value otherwise(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"default_value", "boolean"}, 0, "default");
  const bool absent = input.is_undefined() || (given.flag(1, false) && !truthy(input));
  if (!absent) return input;
  return given.given(0) ? given[0] : make_text("", budget);
}

Value mapped(const Value& input, const Arguments& arguments, Budget& budget) {
  std::vector<Value> made;
  if (arguments.positional.empty()) {
    const Bound given(arguments, {"attribute", "default"}, 1, "map");
    for (const Value& one : iterate(input, budget))
      made.push_back(attribute_by_path(one, given[0], given.given(1) ? &given[1] : nullptr, budget));
    return make_list(std::move(made), budget, List::Kind::generator);
  }
  if (!arguments.positional[0].is_text()) throw Fault("map wants the name of a filter");
  const std::string& name = arguments.positional[0].text().bytes();
  Arguments rest = arguments;
  rest.positional.erase(rest.positional.begin());
  for (const Value& one : iterate(input, budget)) made.push_back(apply_filter(name, one, rest, budget));
  return make_list(std::move(made), budget, List::Kind::generator);
}

/// select, reject, selectattr, rejectattr.
template <bool keeps, bool by_attribute> Value chosen(const Value& input, const Arguments& arguments, Budget& budget) {
  Arguments rest = arguments;
  Value path;
  std::string test;
  if (by_attribute) {
    if (rest.positional.empty()) throw Fault("selectattr and rejectattr want the name of an attribute");
    path = rest.positional.front();
    rest.positional.erase(rest.positional.begin());
  }
  if (!rest.positional.empty()) {
    if (!rest.positional[0].is_text()) throw Fault("select and reject want the name of a test");
    test = rest.positional[0].text().bytes();
    rest.positional.erase(rest.positional.begin());
  }
  std::vector<Value> kept;
  if (truthy(input)) {
    for (const Value& one : iterate(input, budget)) {
      const Value looked = by_attribute ? attribute_by_path(one, path, nullptr, budget) : one;
      if ((test.empty() ? truthy(looked) : apply_test(test, looked, rest, budget)) == keeps) kept.push_back(one);
    }
  }
  return make_list(std::move(kept), budget, List::Kind::generator);
}
}  // namespace

std::vector<NamedFilter> list_filters() {
  return {{"length", length}, {"count", length},         {"first", first},        {"last", last},
          {"list", as_list},  {"items", entries},        {"reverse", reversed},   {"join", joined},
          {"sort", sorted},   {"dictsort", dict_sorted}, {"min", extreme<false>}, {"max", extreme<true>},
          {"unique", unique}, {"sum", total_of},         {"batch", batched},      {"default", otherwise},
          {"d", otherwise}};
}

std::vector<NamedFilter> choice_filters() {
  return {{"map", mapped},
          {"select", chosen<true, false>},
          {"reject", chosen<false, false>},
          {"selectattr", chosen<true, true>},
          {"rejectattr", chosen<false, true>}};
}

}  // namespace tessera::text::jinja
