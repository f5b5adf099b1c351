// Values as text: Python's str(), repr() and json.dumps. Texts inside of lists and dicts keep their marks; what stands around them is
// marked as typed where they are, so that a value of data is data as a whole.
#include <charconv>
#include <cmath>

#include "text/jinja/value.h"
#include "text/unicode.h"

namespace tessera::text::jinja {

std::string real_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::scientific).ptr;
  const std::string shortest(digits, end);
  const size_t e = shortest.find('e');
  const int exponent = std::stoi(shortest.substr(e + 1));
  if (exponent < -4 || exponent >= 16) {
    const std::string size = std::to_string(std::abs(exponent));
    return shortest.substr(0, e) + (exponent < 0 ? "e-" : "e+") + (size.size() < 2 ? "0" : "") + size;
  }
  char fixed[60];
  std::string text(fixed, std::to_chars(fixed, fixed + sizeof fixed, value, std::chars_format::fixed).ptr);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

namespace {
std::string escape_of(const char* format, char32_t code) {
  char text[16];
  std::snprintf(text, sizeof text, format, static_cast<unsigned>(code));
  return text;
}

/// Origin of the first typed text inside of a value.
Origin origin_inside(const Value& value) {
  if (value.is_text()) return value.text().typed_origin();
  const auto typed = [](Origin origin) { return origin.source != Origin::from_template; };
  if (value.is_list()) {
    for (const Value& item : value.list().items) {
      if (const Origin origin = origin_inside(item); typed(origin)) return origin;
    }
  }
  if (value.is_dict()) {
    for (const auto& [key, item] : value.dict().entries) {
      if (const Origin origin = origin_inside(key); typed(origin)) return origin;
      if (const Origin origin = origin_inside(item); typed(origin)) return origin;
    }
  }
  return {};
}

/// Writes `text` with some characters in another spelling; `spell` gives "" for those that stay.
template <class Spell> void append_spelled(MarkedText& out, const MarkedText& text, const Spell& spell) {
  size_t from = 0;
  const std::string& bytes = text.bytes();
  for (const Run& run : text.runs()) {
    std::string changed;
    for (size_t at = from; at < run.end;) {
      const Character c = character_at(bytes, at);
      const std::string spelled = spell(c.code);
      if (spelled.empty()) changed.append(bytes, at, c.length);
      else changed += spelled;
      at += c.length;
    }
    out.append(changed, run.origin);
    from = run.end;
  }
}

class PythonWriter {
 public:
  PythonWriter(MarkedText& out, Origin around, Budget& budget) : out_(out), around_(around), budget_(budget) {}

  void write(const Value& value) {
    budget_.make(16);
    if (value.is_text()) quoted(value.text());
    else if (value.is_dict()) dict(value.dict());
    else if (value.is_list()) list(value.list());
    else add(value.is_undefined() ? "Undefined" : plain(value));
  }
  static std::string plain(const Value& value) {
    if (value.is_undefined()) return "";
    if (value.is_none()) return "None";
    if (value.is<bool>()) return value.get<bool>() ? "True" : "False";
    if (value.is<int64_t>()) return std::to_string(value.get<int64_t>());
    if (value.is<double>()) return real_text(value.get<double>());
    throw Fault("a value of type '" + std::string(type_name(value)) + "' has no text");
  }

 private:
  void add(std::string_view words) { out_.append(words, around_); }

  void quoted(const MarkedText& text) {
    const std::string& bytes = text.bytes();
    budget_.make(bytes.size());
    const char quote = bytes.find('\'') != std::string::npos && bytes.find('"') == std::string::npos ? '"' : '\'';
    add(std::string(1, quote));
    append_spelled(out_, text, [&](char32_t code) -> std::string {
      if (code == static_cast<char32_t>(quote) || code == '\\') return {'\\', static_cast<char>(code)};
      if (code == '\n') return "\\n";
      if (code == '\r') return "\\r";
      if (code == '\t') return "\\t";
      if (is_printable(code)) return "";
      return escape_of(code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
    });
    add(std::string(1, quote));
  }

  void dict(const Dict& dict) {
    add("{");
    bool first = true;
    for (const auto& [key, item] : dict.entries) {
      if (!first) add(", ");
      first = false;
      write(key);
      add(": ");
      write(item);
    }
    add("}");
  }

  void list(const List& list) {
    if (list.kind != List::Kind::list && list.kind != List::Kind::tuple)
      throw Fault("a value of type '" + std::string(type_name(Value(Value::Held(std::make_shared<const List>(list))))) +
                  "' has no text; write it through the filter list or join");
    const bool tuple = list.kind == List::Kind::tuple;
    add(tuple ? "(" : "[");
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) add(", ");
      write(list.items[i]);
    }
    add(!tuple ? "]" : list.items.size() == 1 ? ",)" : ")");
  }

  MarkedText& out_;
  Origin around_;
  Budget& budget_;
};

class JsonWriter {
 public:
  JsonWriter(MarkedText& out, Origin around, const JsonStyle& style, Budget& budget)
      : out_(out), around_(around), style_(style), budget_(budget) {}

  void write(const Value& value, size_t level) {
    budget_.make(16);
    if (value.is_text()) quoted(value.text());
    else if (value.is_dict()) dict(value.dict(), level);
    else if (value.is_list()) list(value.list(), level);
    else add(plain(value));
  }

 private:
  void add(std::string_view words) { out_.append(words, around_); }

  static std::string plain(const Value& value) {
    if (value.is_none()) return "null";
    if (value.is<bool>()) return value.get<bool>() ? "true" : "false";
    if (value.is<int64_t>()) return std::to_string(value.get<int64_t>());
    if (!value.is<double>())
      throw Fault("a value of type '" + std::string(type_name(value)) + "' cannot be written as JSON");
    const double real = value.get<double>();
    if (std::isnan(real)) return "NaN";
    if (std::isinf(real)) return real > 0 ? "Infinity" : "-Infinity";
    return real_text(real);
  }

  void quoted(const MarkedText& text) {
    budget_.make(text.size());
    add("\"");
    append_spelled(out_, text, [&](char32_t code) -> std::string {
      switch (code) {
        case '"':
          return "\\\"";
        case '\\':
          return "\\\\";
        case '\n':
          return "\\n";
        case '\r':
          return "\\r";
        case '\t':
          return "\\t";
        case '\b':
          return "\\b";
        case '\f':
          return "\\f";
        default:
          break;
      }
      if (code >= 0x20 && (code < 0x7F || !style_.ascii)) return "";
      if (code < 0x10000) return escape_of("\\u%04x", code);
      return escape_of("\\u%04x", 0xD800 + ((code - 0x10000) >> 10)) + escape_of("\\u%04x", 0xDC00 + (code & 0x3FF));
    });
    add("\"");
  }

  void new_line(size_t level) {
    if (!style_.pretty) return;
    budget_.make(1 + style_.indent.size() * level);
    std::string blank = "\n";
    for (size_t i = 0; i < level; ++i) blank += style_.indent;
    add(blank);
  }

  void key(const Value& key) {
    if (key.is_text()) return quoted(key.text());
    add("\"");
    add(plain(key));
    add("\"");
  }

  void dict(const Dict& dict, size_t level) {
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (style_.sorted) {
      std::ranges::stable_sort(entries,
                               [&](const auto* a, const auto* b) { return less(a->first, b->first, budget_); });
    }
    add("{");
    bool first = true;
    for (const auto* entry : entries) {
      if (!first) add(style_.between);
      first = false;
      new_line(level + 1);
      key(entry->first);
      add(style_.colon);
      write(entry->second, level + 1);
    }
    if (!first) new_line(level);
    add("}");
  }

  void list(const List& list, size_t level) {
    if (list.kind != List::Kind::list && list.kind != List::Kind::tuple)
      throw Fault("a generator cannot be written as JSON; want the filter list before tojson");
    add("[");
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) add(style_.between);
      new_line(level + 1);
      write(list.items[i], level + 1);
    }
    if (!list.items.empty()) new_line(level);
    add("]");
  }

  MarkedText& out_;
  Origin around_;
  const JsonStyle& style_;
  Budget& budget_;
};
}  // namespace

MarkedText written(const Value& value, Budget& budget) {
  if (value.is_text()) return value.text();
  MarkedText out;
  if (value.is_list() || value.is_dict()) PythonWriter(out, origin_inside(value), budget).write(value);
  else out.append(PythonWriter::plain(value), {});
  return out;
}

MarkedText json_text(const Value& value, const JsonStyle& style, Budget& budget) {
  MarkedText out;
  JsonWriter(out, origin_inside(value), style, budget).write(value, 0);
  return out;
}

}  // namespace tessera::text::jinja
