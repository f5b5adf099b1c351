// Filters that make text or numbers of one value, and the binding of arguments.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "text/jinja/functions.h"
#include "text/unicode.h"

namespace tessera::text::jinja {

Bound::Bound(const Arguments& given, std::initializer_list<std::string_view> names, size_t required,
             std::string_view what)
    : what_(what), given_(names.size(), nullptr) {
  if (given.positional.size() > names.size())
    throw Fault(what_ + " is given " + std::to_string(given.positional.size()) + " arguments, takes at most " +
                std::to_string(names.size()));
  for (size_t i = 0; i < given.positional.size(); ++i) given_[i] = &given.positional[i];
  for (const auto& [name, value] : given.keywords) {
    const auto found = std::ranges::find(names, std::string_view(name));
    if (found == names.end()) throw Fault(what_ + " has no argument '" + name + "'");
    const Value*& place = given_[static_cast<size_t>(found - names.begin())];
    if (place != nullptr) throw Fault(what_ + " is given the argument '" + name + "' twice");
    place = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (given_[i] == nullptr) throw Fault(what_ + " lacks the argument '" + std::string(names.begin()[i]) + "'");
  }
}

const Value& Bound::operator[](size_t i) const {
  static const Value nothing;
  return given_[i] != nullptr ? *given_[i] : nothing;
}

int64_t Bound::integer(size_t i, int64_t otherwise) const {
  if (!given(i) || given_[i]->is_none()) return otherwise;
  if (!given_[i]->is_integer())
    throw Fault(what_ + " wants a whole number, got a value of type '" + std::string(type_name(*given_[i])) + "'");
  return given_[i]->integer();
}

const MarkedText& Bound::text(size_t i) const {
  const Value& value = (*this)[i];
  if (!value.is_text())
    throw Fault(what_ + " wants a text, got a value of type '" + std::string(type_name(value)) + "'");
  return value.text();
}

MarkedText soft_text(const Value& value, Budget& budget) {
  budget.make(value.is_text() ? value.text().size() : 0);
  return written(value, budget);
}

MarkedText escaped_text(MarkedText text, Budget& budget) {
  budget.make(text.size() * 5);
  constexpr std::pair<std::string_view, std::string_view> entities[] = {
      {"&", "&amp;"}, {">", "&gt;"}, {"<", "&lt;"}, {"'", "&#39;"}, {"\"", "&#34;"}};
  for (const auto& [sign, entity] : entities)
    text = replace_all(text, sign, MarkedText(std::string(entity), text.typed_origin()), -1);
  return text;
}

namespace {
Value trim(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"chars"}, 0, "trim");
  const bool all = !given.given(0) || given[0].is_none();
  return make_text(strip(soft_text(input, budget), all ? nullptr : &given.text(0).bytes(), true, true), budget);
}

template <Case to> Value cased(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound none(arguments, {}, 0, "a filter of case");
  return make_text(change_case(soft_text(input, budget), to), budget);
}

Value replace(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"old", "new", "count"}, 2, "replace");
  const MarkedText text = soft_text(input, budget), old = soft_text(given[0], budget),
                   with = soft_text(given[1], budget);
  const size_t places = old.empty() ? text.size() + 1 : text.size() / old.size();
  budget.make(text.size() + places * with.size());
  return make_text(replace_all(text, old.bytes(), with, given.integer(2, -1)), budget);
}

Value as_text(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound none(arguments, {}, 0, "string");
  return input.is_text() ? input : make_text(written(input, budget), budget);
}

Value escaped(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound none(arguments, {}, 0, "escape");
  if (input.is_text() && input.get<Words>().escaped) return input;
  return make_text(escaped_text(soft_text(input, budget), budget), budget, /*escaped=*/true);
}

Value safe(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound none(arguments, {}, 0, "safe");
  return make_text(soft_text(input, budget), budget, /*escaped=*/true);
}

Value indent(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"width", "first", "blank"}, 0, "indent");
  if (!input.is_text()) throw Fault("indent wants a text, got a value of type '" + std::string(type_name(input)) + "'");
  const bool by_text = given[0].is_text();
  const int64_t width = by_text ? 0 : given.integer(0, 4);
  budget.make(width > 0 ? static_cast<size_t>(width) : 0);
  const MarkedText margin =
      by_text ? given.text(0) : MarkedText(std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' '), {});
  const bool blank = given.flag(2, false);
  MarkedText text = input.text();
  text.append("\n", {});
  const std::vector<MarkedText> lines = split_lines(text, false);
  budget.make(text.size() + lines.size() * (sizeof(MarkedText) + sizeof(Run) + margin.size()));
  MarkedText made;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) made.append("\n", {});
    if (i > 0 ? blank || !lines[i].empty() : given.flag(1, false)) made.append(margin);
    made.append(lines[i]);
  }
  return make_text(std::move(made), budget);
}

Value to_json(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"ensure_ascii", "indent", "separators", "sort_keys"}, 0, "tojson");
  JsonStyle style;
  style.ascii = given.flag(0, false);
  style.sorted = given.flag(3, false);
  style.pretty = given.given(1) && !given[1].is_none();
  if (style.pretty) {
    style.between = ",";
    if (given[1].is_text()) style.indent = given[1].text().bytes();
    else style.indent = std::string(static_cast<size_t>(std::clamp<int64_t>(given.integer(1, 0), 0, 1000)), ' ');
  }
  if (given.given(2) && !given[2].is_none()) {
    const auto parts = iterate(given[2], budget);
    if (parts->items.size() != 2 || !parts->items[0].is_text() || !parts->items[1].is_text())
      throw Fault("tojson wants two texts as separators");
    style.between = parts->items[0].text().bytes();
    style.colon = parts->items[1].text().bytes();
  }
  return make_text(json_text(input, style, budget), budget);
}

Value format(const Value& input, const Arguments& arguments, Budget& budget) {
  if (!arguments.keywords.empty()) throw Fault("named values of the filter format are not supported");
  return format_text(soft_text(input, budget), make_list(arguments.positional, budget, List::Kind::tuple), budget);
}

Value truncate(const Value& input, const Arguments& arguments, Budget& budget) {
  const Bound given(arguments, {"length", "killwords", "end", "leeway"}, 0, "truncate");
  if (!input.is_text())
    throw Fault("truncate wants a text, got a value of type '" + std::string(type_name(input)) + "'");
  const MarkedText end = given.given(2) ? given.text(2) : MarkedText("...", {});
  const int64_t length = given.integer(0, 255), ending = static_cast<int64_t>(count_characters(end.bytes()));
  if (length < ending || given.integer(3, 5) < 0) throw Fault("truncate to less than its own ending");
  const std::vector<size_t> offsets = character_offsets(input.text().bytes());
  budget.make(offsets.size() * sizeof(size_t));
  const int64_t characters = std::ssize(offsets) - 1;
  if (characters - length <= given.integer(3, 5)) return input;
  MarkedText made = input.text().part(0, offsets[static_cast<size_t>(length - ending)]);
  if (!given.flag(1, false)) {
    const size_t blank = made.bytes().rfind(' ');
    if (blank != std::string::npos) made = made.part(0, blank);
  }
  made.append(end);
  return make_text(std::move(made), budget);
}

/// The number that a text spells, in Python's spelling.
template <class T> std::optional<T> number_in(const std::string& bytes) {
  const MarkedText bare = strip(MarkedText(bytes, {}), nullptr, true, true);
  std::string text = bare.bytes();
  for (size_t at = text.find('_'); at != std::string::npos; at = text.find('_', at)) {
    const auto digit = [&](size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
    if (at == 0 || !digit(at - 1) || !digit(at + 1)) return std::nullopt;
    text.erase(at, 1);
  }
  std::string_view rest = text;
  if (rest.starts_with("+")) rest.remove_prefix(1);
  if (rest.starts_with("+") || (rest.size() < text.size() && rest.starts_with("-"))) return std::nullopt;
  T value{};
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (error == std::errc::result_out_of_range && std::is_integral_v<T>)
    throw Fault("the number " + text.substr(0, 40) + " is too large");
  if (error != std::errc() || end != rest.data() + rest.size() || rest.find('(') != std::string_view::npos)
    return std::nullopt;
  return value;
}

Value whole(double value) {
  if (!(std::abs(value) < 9.2e18)) throw Fault("a number is too large for a whole number");
  return static_cast<int64_t>(value);
}

Value to_integer(const Value& input, const Arguments& arguments, Budget&) {
  const Bound given(arguments, {"default", "base"}, 0, "int");
  if (given.integer(1, 10) != 10) throw Fault("the filter int with another base than 10 is not supported");
  if (input.is_undefined()) fail_undefined(input, "the filter int");
  const Value otherwise = given.given(0) ? given[0] : Value(int64_t{0});
  if (input.is_integer()) return input.integer();
  if (input.is<double>()) return std::isnan(input.real()) ? otherwise : whole(input.real());
  if (!input.is_text()) return otherwise;
  if (const auto value = number_in<int64_t>(input.text().bytes())) return *value;
  const auto real = number_in<double>(input.text().bytes());
  return real && std::isfinite(*real) ? whole(*real) : otherwise;
}

Value to_real(const Value& input, const Arguments& arguments, Budget&) {
  const Bound given(arguments, {"default"}, 0, "float");
  if (input.is_undefined()) fail_undefined(input, "the filter float");
  if (input.is_number()) return input.real();
  const auto value = input.is_text() ? number_in<double>(input.text().bytes()) : std::nullopt;
  if (value) return *value;
  return given.given(0) ? given[0] : Value(0.0);
}

Value absolute(const Value& input, const Arguments& arguments, Budget&) {
  const Bound none(arguments, {}, 0, "abs");
  if (!input.is_number()) throw Fault("abs of a value of type '" + std::string(type_name(input)) + "'");
  if (input.is<double>()) return std::abs(input.real());
  return input.integer() < 0 ? negate(input) : Value(input.integer());
}

Value rounded(const Value& input, const Arguments& arguments, Budget&) {
  const Bound given(arguments, {"precision", "method"}, 0, "round");
  const int64_t precision = given.integer(0, 0);
  const std::string method = given.given(1) ? given.text(1).bytes() : "common";
  if (!input.is_number()) throw Fault("round of a value of type '" + std::string(type_name(input)) + "'");
  if (precision < 0 || precision > 300) throw Fault("the filter round wants a precision from 0 to 300");
  if (method == "common") {
    if (input.is_integer()) return input.integer();
    char digits[700];  // from the exact binary value, halves to even, as Python rounds
    std::snprintf(digits, sizeof digits, "%.*f", static_cast<int>(precision), input.real());
    return std::strtod(digits, nullptr);
  }
  if (method != "ceil" && method != "floor") throw Fault("the filter round wants common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(precision)), scaled = input.real() * scale;
  return (method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale;
}
}  // namespace

std::vector<NamedFilter> text_filters() {
  return {{"trim", trim},
          {"upper", cased<Case::upper>},
          {"lower", cased<Case::lower>},
          {"title", cased<Case::jinja_title>},
          {"capitalize", cased<Case::capitalize>},
          {"replace", replace},
          {"string", as_text},
          {"escape", escaped},
          {"e", escaped},
          {"safe", safe},
          {"indent", indent},
          {"tojson", to_json},
          {"format", format},
          {"truncate", truncate}};
}

std::vector<NamedFilter> number_filters() {
  return {{"int", to_integer}, {"float", to_real}, {"abs", absolute}, {"round", rounded}};
}

}  // namespace tessera::text::jinja
