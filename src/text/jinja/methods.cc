// The methods of Python's str, dict and list that templates call. Those that are not here are refused by name.
#include <algorithm>

#include "text/jinja/functions.h"
#include "text/unicode.h"

namespace tessera::text::jinja {

namespace {
using ListKind = List::Kind;

/// The whole text as characters [first, last) of arguments `from` and `from + 1`, as bytes.
std::pair<size_t, size_t> range_of(const MarkedText& text, const Bound& given, size_t from) {
  if (!given.given(from) && !given.given(from + 1)) return {0, text.size()};
  const std::vector<size_t> offsets = character_offsets(text.bytes());
  const int64_t length = std::ssize(offsets) - 1;
  const auto clamped = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + length : at, 0, length); };
  const int64_t first = clamped(given.integer(from, 0)), last = clamped(given.integer(from + 1, length));
  return {offsets[static_cast<size_t>(first)], offsets[static_cast<size_t>(std::max(first, last))]};
}

Value list_of(std::vector<MarkedText> parts, Budget& budget, ListKind kind = ListKind::list) {
  std::vector<Value> items;
  for (MarkedText& part : parts) items.push_back(make_text(std::move(part), budget));
  return make_list(std::move(items), budget, kind);
}

Value stripped(const MarkedText& text, std::string_view name, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"chars"}, 0, name);
  const bool all = !given.given(0) || given[0].is_none();
  const std::string* const characters = all ? nullptr : &given.text(0).bytes();
  return make_text(strip(text, characters, name != "rstrip", name != "lstrip"), budget);
}

Value split(const MarkedText& text, std::string_view name, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"sep", "maxsplit"}, 0, name);
  const int64_t count = given.integer(1, -1);
  const bool from_right = name == "rsplit";
  budget.make(text.size());
  if (!given.given(0) || given[0].is_none()) return list_of(split_words(text, count, from_right), budget);
  if (given.text(0).empty()) throw Fault(std::string(name) + " by an empty text");
  return list_of(split_at(text, given.text(0).bytes(), count, from_right), budget);
}

Value partition(const MarkedText& text, bool from_right, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"sep"}, 1, "partition");
  const std::string& separator = given.text(0).bytes();
  if (separator.empty()) throw Fault("partition by an empty text");
  const size_t at = from_right ? text.bytes().rfind(separator) : text.bytes().find(separator);
  if (at == std::string::npos)
    return list_of(from_right ? std::vector<MarkedText>{{}, {}, text} : std::vector<MarkedText>{text, {}, {}}, budget,
                   ListKind::tuple);
  return list_of({text.part(0, at), given.text(0), text.part(at + separator.size(), text.size())}, budget,
                 ListKind::tuple);
}

bool begins_or_ends(const MarkedText& text, std::string_view name, const Arguments& arguments) {
  const Bound given(arguments, {"prefix", "start", "end"}, 1, name);
  const auto [first, last] = range_of(text, given, 1);
  const std::string_view whole = std::string_view(text.bytes()).substr(first, last - first);
  const auto fits = [&](const Value& value) {
    if (!value.is_text())
      throw Fault(std::string(name) + " wants a text, got one of type '" + std::string(type_name(value)) + "'");
    return name == "startswith" ? whole.starts_with(value.text().bytes()) : whole.ends_with(value.text().bytes());
  };
  const bool several = given[0].is_list() && given[0].list().kind == ListKind::tuple;
  return several ? std::ranges::any_of(given[0].list().items, fits) : fits(given[0]);
}

Value find(const MarkedText& text, std::string_view name, const Arguments& arguments) {
  const Bound given(arguments, {"sub", "start", "end"}, 1, name);
  const auto [first, last] = range_of(text, given, 1);
  const std::string_view whole = std::string_view(text.bytes()).substr(0, last);
  const std::string_view part = given.text(0).bytes();
  if (name == "count") {
    int64_t count = 0;
    if (part.empty()) return static_cast<int64_t>(count_characters(whole.substr(first))) + 1;
    for (size_t at = whole.find(part, first); at != std::string_view::npos; at = whole.find(part, at + part.size()))
      ++count;
    return count;
  }
  const size_t at = name.starts_with("r") ? whole.rfind(part) : whole.find(part, first);
  if (at != std::string_view::npos && at >= first) return static_cast<int64_t>(count_characters(whole.substr(0, at)));
  if (name.ends_with("index")) throw Fault(std::string(name) + " of a text that is not there");
  return int64_t{-1};
}

Value join_method(const MarkedText& separator, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"iterable"}, 1, "join");
  MarkedText all;
  bool first = true;
  for (const Value& item : iterate(given[0], budget)) {
    if (!item.is_text()) throw Fault("join wants texts, got a value of type '" + std::string(type_name(item)) + "'");
    budget.make(separator.size() + item.text().size());
    if (!first) all.append(separator);
    first = false;
    all.append(item.text());
  }
  return make_text(std::move(all), budget);
}

Value padded(const MarkedText& text, std::string_view name, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"width", "fillchar"}, 1, name);
  const int64_t width = given.integer(0, 0), length = static_cast<int64_t>(count_characters(text.bytes()));
  if (width <= length) return make_text(text, budget);
  const std::string fill = given.given(1) ? given.text(1).bytes() : name == "zfill" ? "0" : " ";
  if (count_characters(fill) != 1) throw Fault(std::string(name) + " wants one character to fill with");
  const int64_t missing = width - length;
  budget.make(static_cast<size_t>(missing) * fill.size());
  int64_t left = name == "ljust" ? 0 : missing;
  if (name == "center") left = missing / 2 + (missing & width & 1);  // as CPython divides what is odd
  MarkedText made;
  size_t from = 0;
  if (name == "zfill" && (text.bytes().starts_with("-") || text.bytes().starts_with("+")))
    made.append_part(text, 0, from = 1);
  for (int64_t i = 0; i < left; ++i) made.append(fill, {});
  made.append_part(text, from, text.size());
  for (int64_t i = left; i < missing; ++i) made.append(fill, {});
  return make_text(std::move(made), budget);
}

bool is_all(const MarkedText& text, std::string_view name) {
  const std::string& bytes = text.bytes();
  const bool cased = name == "isupper" || name == "islower";
  bool some = name == "isascii";
  for (size_t at = 0; at < bytes.size();) {
    const Character c = character_at(bytes, at);
    at += c.length;
    if (cased) {
      const bool right = name == "isupper" ? is_upper(c.code) : is_lower(c.code);
      if (is_cased(c.code) && !right) return false;
      some = some || right;
      continue;
    }
    bool fits = c.code < 0x80;
    if (name == "isspace") fits = is_python_space(c.code);
    else if (name == "isalpha") fits = is_letter(c.code);
    else if (name == "isalnum") fits = is_letter(c.code) || is_numeric(c.code);
    else if (name == "isnumeric") fits = is_numeric(c.code);
    else if (name != "isascii") fits = fits ? c.code >= '0' && c.code <= '9' : is_numeric(c.code);
    if (!fits) return false;
    some = true;
  }
  return some;
}

Value text_method(const MarkedText& text, std::string_view name, const Arguments& arguments, Budget& budget) {
  budget.make(text.size());
  const auto among = [&](std::initializer_list<std::string_view> names) {
    return std::ranges::find(names, name) != names.end();
  };
  const auto without_arguments = [&] { const Bound none(arguments, {}, 0, name); };
  if (among({"strip", "lstrip", "rstrip"})) return stripped(text, name, arguments, budget);
  if (among({"split", "rsplit"})) return split(text, name, arguments, budget);
  if (among({"partition", "rpartition"})) return partition(text, name == "rpartition", arguments, budget);
  if (among({"startswith", "endswith"})) return begins_or_ends(text, name, arguments);
  if (among({"find", "rfind", "index", "rindex", "count"})) return find(text, name, arguments);
  if (among({"ljust", "rjust", "center", "zfill"})) return padded(text, name, arguments, budget);
  if (name == "format") return format_braces(text, arguments, budget);
  if (name == "join") return join_method(text, arguments, budget);
  if (name == "splitlines") {
    const Bound given(arguments, {"keepends"}, 0, name);
    return list_of(split_lines(text, given.flag(0, false)), budget);
  }
  if (name == "replace") {
    const Bound given(arguments, {"old", "new", "count"}, 2, name);
    const std::string& old = given.text(0).bytes();
    const size_t places = old.empty() ? text.size() + 1 : text.size() / old.size();
    budget.make(text.size() + places * given.text(1).size());
    return make_text(replace_all(text, old, given.text(1), given.integer(2, -1)), budget);
  }
  if (among({"removeprefix", "removesuffix"})) {
    const Bound given(arguments, {"affix"}, 1, name);
    const std::string& affix = given.text(0).bytes();
    const bool front = name == "removeprefix" && text.bytes().starts_with(affix);
    const bool back = name == "removesuffix" && text.bytes().ends_with(affix);
    return make_text(text.part(front ? affix.size() : 0, text.size() - (back ? affix.size() : 0)), budget);
  }
  struct NamedCase {
    std::string_view name;
    Case to;
  };
  for (const NamedCase one : {NamedCase{"upper", Case::upper},
                              {"lower", Case::lower},
                              {"title", Case::title},
                              {"capitalize", Case::capitalize},
                              {"swapcase", Case::swap}}) {
    if (name != one.name) continue;
    without_arguments();
    return make_text(change_case(text, one.to), budget);
  }
  if (among({"isdigit", "isdecimal", "isnumeric", "isalpha", "isalnum", "isspace", "isupper", "islower", "isascii"})) {
    without_arguments();
    const bool ambiguous = (name == "isdigit" || name == "isdecimal") && !is_all(text, "isascii");
    if (ambiguous && is_all(text, name)) throw Fault(std::string(name) + " of digits beyond ASCII is not supported");
    return is_all(text, name);
  }
  throw Fault("the method '" + std::string(name) + "' of a text is not supported");
}

Value dict_method(const Value& self, std::string_view name, const Arguments& arguments, Budget& budget) {
  const Dict& dict = self.dict();
  if (name == "get") {
    const Bound given(arguments, {"key", "default"}, 1, name);
    const Value* const found = given[0].is_undefined() ? nullptr : dict.find(given[0]);
    if (found != nullptr) return *found;
    return given.given(1) ? given[1] : Value(None{});
  }
  const Bound none(arguments, {}, 0, name);
  if (name == "copy") return self;
  if (name == "fromkeys") throw Fault("the method 'fromkeys' of a dict is not supported");
  std::vector<Value> items;
  for (const auto& [key, value] : dict.entries) {
    if (name == "items") items.push_back(make_list({key, value}, budget, ListKind::tuple));
    else items.push_back(name == "keys" ? key : value);
  }
  return make_list(std::move(items), budget, ListKind::view);
}

Value list_method(const Value& self, std::string_view name, const Arguments& arguments, Budget& budget) {
  if (name == "copy") return self;
  const Bound given(arguments, {"value"}, 1, name);
  int64_t count = 0;
  for (size_t i = 0; i < self.list().items.size(); ++i) {
    if (!equal(self.list().items[i], given[0], budget)) continue;
    if (name == "index") return static_cast<int64_t>(i);
    ++count;
  }
  if (name == "index") throw Fault("index of a value that is not in the list");
  return count;
}
}  // namespace

Value call_method(const Method& method, const Arguments& given, Budget& budget) {
  const Value& self = method.self;
  if (self.is_text()) {
    if (self.get<Words>().escaped) throw Fault("methods of a text of the filter safe or escape are not supported");
    return text_method(self.text(), method.name, given, budget);
  }
  if (self.is_dict()) return dict_method(self, method.name, given, budget);
  if (self.is_list()) return list_method(self, method.name, given, budget);
  if (self.is<std::shared_ptr<Loop>>() && method.name == "cycle") {
    const Loop& loop = *self.get<std::shared_ptr<Loop>>();
    if (given.positional.empty()) throw Fault("loop.cycle without values");
    return given.positional[loop.at % given.positional.size()];
  }
  throw Fault("the method '" + method.name + "' of a value of type '" + std::string(type_name(self)) +
              "' is not supported");
}

}  // namespace tessera::text::jinja
