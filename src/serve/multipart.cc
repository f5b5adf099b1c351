// Bytes between boundaries; of the heads of parts only the names are of use.
#include "serve/multipart.h"

#include <algorithm>

#include "serve/api_error.h"

namespace tessera::serve {

namespace {

constexpr size_t most_parts = 64, longest_head = 4096;

[[noreturn]] void refuse(std::string_view why) {
  throw ApiError(400, fmt::format("the body is no multipart/form-data: {}", why));
}

bool is_same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

/// The value of `key` among "; key=value; key="value"", "" where it is not there.
std::string parameter_of(std::string_view text, std::string_view key) {
  for (size_t at = text.find(';'); at != std::string_view::npos; at = text.find(';', at)) {
    at = text.find_first_not_of(" \t", at + 1);
    if (at == std::string_view::npos) break;
    const size_t equals = text.find('=', at);
    if (equals == std::string_view::npos) break;
    const std::string_view name = text.substr(at, equals - at);
    std::string value;
    size_t end = equals + 1;
    if (end < text.size() && text[end] == '"') {
      for (++end; end < text.size() && text[end] != '"'; ++end) {
        if (text[end] == '\\' && end + 1 < text.size()) ++end;
        value += text[end];
      }
    } else {
      const size_t stop = std::min(text.find(';', end), text.size());
      value = text.substr(end, stop - end);
      while (value.ends_with(' ')) value.pop_back();
      end = stop;
    }
    if (is_same_word(name, key)) return value;
    at = end;
    if (at >= text.size()) break;
  }
  return "";
}

FormPart read_head(std::string_view head) {
  FormPart part;
  while (!head.empty()) {
    const size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_same_word(line.substr(0, colon), "content-disposition")) continue;
    part.name = parameter_of(line, "name");
    part.filename = parameter_of(line, "filename");
  }
  return part;
}

}  // namespace

bool is_form(std::string_view content_type) {
  constexpr std::string_view kind = "multipart/";
  return is_same_word(content_type.substr(0, kind.size()), kind);
}

std::vector<FormPart> parse_multipart(std::string_view body, std::string_view content_type) {
  const std::string boundary = parameter_of(content_type, "boundary");
  if (boundary.empty() || boundary.size() > 70) refuse("the Content-Type names no boundary of 1 to 70 characters");
  const std::string mark = "--" + boundary, between = "\r\n" + mark;
  size_t at = body.find(mark);
  if (at == std::string_view::npos) refuse("its boundary does not come");
  at += mark.size();
  std::vector<FormPart> parts;
  while (!body.substr(at).starts_with("--")) {
    if (!body.substr(at).starts_with("\r\n")) refuse("a boundary does not end its line");
    if (parts.size() == most_parts) refuse(fmt::format("more than {} parts", most_parts));
    at += 2;
    const size_t head_end = body.substr(0, std::min(body.size(), at + longest_head)).find("\r\n\r\n", at);
    if (head_end == std::string_view::npos) refuse("a part has no end of its head");
    FormPart part = read_head(body.substr(at, head_end - at));
    if (part.name.empty()) refuse("a part has no name");
    const size_t begin = head_end + 4, end = body.find(between, begin);
    if (end == std::string_view::npos) refuse("the last boundary is missing");
    part.body = body.substr(begin, end - begin);
    parts.push_back(std::move(part));
    at = end + between.size();
  }
  return parts;
}

}  // namespace tessera::serve
