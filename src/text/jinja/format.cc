// Python's % of a text: %s, %r, %d, %i, %f and %x with width and precision. Other conversions are refused by name.
#include <algorithm>

#include "text/jinja/functions.h"

namespace tessera::text::jinja {

namespace {
struct Conversion {
  bool left = false, zero = false, plus = false;
  int width = 0, precision = -1;
  char kind = 's';
};

MarkedText converted(const Conversion& how, const Value& value, Budget& budget) {
  const auto wants = [&](bool right) {
    if (right) return;
    throw Fault(std::string("%") + how.kind + " is given a value of type '" + std::string(type_name(value)) + "'");
  };
  if (how.kind == 's') {
    MarkedText text = soft_text(value, budget);
    if (how.precision < 0) return text;
    const std::vector<size_t> offsets = character_offsets(text.bytes());
    return text.part(0, offsets[std::min(offsets.size() - 1, static_cast<size_t>(how.precision))]);
  }
  if (how.kind == 'r') {
    MarkedText list = written(make_list({value}, budget), budget);  // the inside of [value] is its repr
    return list.part(1, list.size() - 1);
  }
  wants(value.is_number());
  char digits[700];
  if (how.kind == 'f') {
    std::snprintf(digits, sizeof digits, how.plus ? "%+.*f" : "%.*f", how.precision < 0 ? 6 : how.precision,
                  value.real());
  } else {
    wants(value.is_integer() || how.kind != 'x');
    const double real = value.real();
    if (!(real > -9.2e18 && real < 9.2e18)) throw Fault("% of a number that is too large");
    const int64_t whole = value.is_integer() ? value.integer() : static_cast<int64_t>(real);
    if (how.kind == 'x' && whole < 0) throw Fault("%x of a negative number is not supported");
    if (how.kind == 'x') std::snprintf(digits, sizeof digits, "%llx", static_cast<unsigned long long>(whole));
    else std::snprintf(digits, sizeof digits, how.plus ? "%+lld" : "%lld", static_cast<long long>(whole));
  }
  return MarkedText(digits, {});
}

void append_padded(MarkedText& made, const Conversion& how, const MarkedText& text) {
  const auto length = static_cast<int>(count_characters(text.bytes()));
  const int missing = std::max(0, how.width - length);
  const bool zeros = how.zero && !how.left && how.kind != 's' && how.kind != 'r';
  const size_t sign = zeros && (text.bytes().starts_with("-") || text.bytes().starts_with("+")) ? 1 : 0;
  made.append_part(text, 0, sign);
  if (!how.left) made.append(std::string(static_cast<size_t>(missing), zeros ? '0' : ' '), {});
  made.append_part(text, sign, text.size());
  if (how.left) made.append(std::string(static_cast<size_t>(missing), ' '), {});
}

/// The conversion behind the % at `at`, which moves behind it.
Conversion conversion_at(const std::string& format, size_t& at) {
  Conversion how;
  const auto number = [&] {
    int value = 0;
    for (; at < format.size() && format[at] >= '0' && format[at] <= '9'; ++at) {
      value = value * 10 + (format[at] - '0');
      if (value > 300) throw Fault("% wants widths and precisions up to 300");
    }
    return value;
  };
  for (++at; at < format.size() && std::string_view("-0+").find(format[at]) != std::string_view::npos; ++at) {
    how.left = how.left || format[at] == '-';
    how.zero = how.zero || format[at] == '0';
    how.plus = how.plus || format[at] == '+';
  }
  how.width = number();
  if (at < format.size() && format[at] == '.') {
    ++at;
    how.precision = number();
  }
  if (at == format.size()) throw Fault("a text to be formatted ends behind %");
  how.kind = format[at] == 'i' ? 'd' : format[at];
  if (std::string_view("srdfx%").find(how.kind) == std::string_view::npos)
    throw Fault("a conversion other than %s, %r, %d, %i, %f and %x is not supported");
  ++at;
  return how;
}
}  // namespace

Value format_text(const MarkedText& text, const Value& values, Budget& budget) {
  const bool tuple = values.is_list() && values.list().kind == List::Kind::tuple;
  const std::vector<Value> given = tuple ? values.list().items : std::vector<Value>{values};
  const std::string& format = text.bytes();
  MarkedText made;
  size_t next = 0;
  for (size_t at = 0; at < format.size();) {
    const size_t sign = std::min(format.find('%', at), format.size());
    budget.make(sign - at + 64);
    made.append_part(text, at, sign);
    at = sign;
    if (at == format.size()) break;
    const Conversion how = conversion_at(format, at);
    if (how.kind == '%') {
      made.append_part(text, at - 1, at);
      continue;
    }
    if (next == given.size()) throw Fault("% wants more values than it is given");
    budget.make(static_cast<size_t>(how.width));
    append_padded(made, how, converted(how, given[next++], budget));
  }
  const bool spare = next < given.size() && (tuple || !values.is_dict());
  if (spare) throw Fault("% is given more values than it wants");
  return make_text(std::move(made), budget);
}

Value format_braces(const MarkedText& text, const Arguments& given, Budget& budget) {
  const std::string& format = text.bytes();
  MarkedText made;
  size_t next = 0;
  for (size_t at = 0; at < format.size();) {
    const size_t brace = std::min(format.find_first_of("{}", at), format.size());
    budget.make(brace - at + 64);
    made.append_part(text, at, brace);
    if (brace == format.size()) break;
    at = brace + 1;
    if (at < format.size() && format[at] == format[brace]) {  // doubled
      made.append_part(text, at, at + 1);
      ++at;
      continue;
    }
    const size_t close = format.find('}', at);
    if (format[brace] == '}' || close == std::string::npos) throw Fault("format of a text with a single brace");
    const std::string name = format.substr(at, close - at);
    at = close + 1;
    if (name.find_first_of(".[!:{") != std::string::npos)
      throw Fault("format with more than a name in braces is not supported");
    const bool number = name.size() < 9 && name.find_first_not_of("0123456789") == std::string::npos;
    const auto named = std::ranges::find(given.keywords, name, &std::pair<std::string, Value>::first);
    const size_t position = !number || name.empty() ? next : std::stoul(name);
    if (name.empty()) ++next;
    if (number ? position >= given.positional.size() : named == given.keywords.end())
      throw Fault("format lacks the value of '{" + name.substr(0, 40) + "}'");
    made.append(soft_text(number ? given.positional[position] : named->second, budget));
  }
  return make_text(std::move(made), budget);
}

}  // namespace tessera::text::jinja
