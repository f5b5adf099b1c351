// See json_rows.h. Valid rows are parsed once; only rows that are refused are looked at for what can be replaced.
#include "core/json_rows.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/log.h"
#include "core/utf8.h"

namespace tessera {

namespace {
constexpr size_t escape_length = 6;  // \uXXXX

/// The number of an escape \uXXXX that begins at `at`.
std::optional<unsigned> escape_at(std::string_view text, size_t at) {
  const std::string_view escape = text.substr(std::min(at, text.size()), escape_length);
  unsigned code = 0;
  if (escape.size() < escape_length || !escape.starts_with("\\u")) return std::nullopt;
  const auto [end, error] = std::from_chars(escape.data() + 2, escape.data() + escape_length, code, 16);
  if (error != std::errc() || end != escape.data() + escape_length) return std::nullopt;
  return code;
}

bool is_high(unsigned code) { return code >= 0xD800 && code < 0xDC00; }
bool is_low(unsigned code) { return code >= 0xDC00 && code < 0xE000; }

/// `json` with "\ufffd" for every half of a pair that stands alone; `first` becomes the first of them.
std::string with_whole_characters(std::string_view json, std::string& first) {
  std::string text;
  for (size_t at = 0; at < json.size();) {
    const std::optional<unsigned> code = json[at] == '\\' ? escape_at(json, at) : std::nullopt;
    size_t length = json[at] == '\\' ? std::min<size_t>(2, json.size() - at) : 1;
    if (code) length = escape_length;
    const std::optional<unsigned> next = code && is_high(*code) ? escape_at(json, at + escape_length) : std::nullopt;
    if (next && is_low(*next)) {
      length = 2 * escape_length;
    } else if (code && (is_high(*code) || is_low(*code))) {
      if (first.empty()) first = json.substr(at, length);
      text += "\\ufffd";
      at += length;
      continue;
    }
    text += json.substr(at, length);
    at += length;
  }
  return text;
}
}  // namespace

void RowRepairs::warn(std::string_view module) const {
  if (rows == 0) return;
  log_warning("[{}] {} what is no character and became U+FFFD; the first is {}", module,
              rows == 1 ? "1 row holds" : fmt::format("{} rows hold", rows), first);
}

Json parse_json_row(std::string_view line, std::string_view where, RowRepairs* repairs) {
  try {
    return parse_json(line, where);
  } catch (const UserError&) {
    std::string first;
    const int64_t broken = broken_parts(line);
    std::string whole = with_whole_characters(broken > 0 ? to_utf8(line) : std::string(line), first);
    if (first.empty() && broken == 0) throw;
    Json row = parse_json(whole, where);
    if (repairs != nullptr && repairs->rows++ == 0)
      repairs->first = fmt::format("{}: {}", where, first.empty() ? "bytes that are no UTF-8" : first);
    return row;
  }
}

std::string json_row(const Json& row) { return row.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

}  // namespace tessera
