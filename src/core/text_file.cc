// See text_file.h. Marks first, then characters, then line ends.
#include "core/text_file.h"

#include <algorithm>

#include "core/counted.h"
#include "core/error.h"
#include "core/log.h"
#include "core/utf8.h"

namespace tessera {

namespace {
constexpr std::string_view mark_utf8 = "\xEF\xBB\xBF";
constexpr std::string_view mark_utf16_little = "\xFF\xFE", mark_utf16_big = "\xFE\xFF";
constexpr std::string_view mark_utf32_little{"\xFF\xFE\0\0", 4}, mark_utf32_big{"\0\0\xFE\xFF", 4};

/// UTF-16 without its mark; halves of pairs and a last odd byte become U+FFFD.
DecodedText from_utf16(std::string_view bytes, bool big) {
  DecodedText text;
  const auto unit = [&](size_t i) {
    const auto first = static_cast<unsigned char>(bytes[i]), second = static_cast<unsigned char>(bytes[i + 1]);
    return static_cast<char32_t>(big ? first << 8 | second : second << 8 | first);
  };
  size_t at = 0;
  for (; at + 1 < bytes.size(); at += 2) {
    char32_t code = unit(at);
    const bool high = code >= 0xD800 && code < 0xDC00;
    if (const char32_t low = high && at + 3 < bytes.size() ? unit(at + 2) : 0; low >= 0xDC00 && low < 0xE000) {
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      at += 2;
    }
    text.broken += code >= 0xD800 && code < 0xE000;
    append_utf8(text.words, code);
  }
  if (at < bytes.size()) {
    text.words += replacement_character;
    ++text.broken;
  }
  return text;
}

void end_lines_with_newlines(std::string& text) {
  if (text.find('\r') == std::string::npos) return;
  size_t to = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    text[to++] = text[i] == '\r' ? '\n' : text[i];
  }
  text.resize(to);
}
}  // namespace

DecodedText decode_text(std::string_view bytes, std::string_view source, std::string_view module) {
  if (bytes.starts_with(mark_utf32_little) || bytes.starts_with(mark_utf32_big))
    throw UserError("[{}] {} is UTF-32, want UTF-8 or UTF-16 text; save it as UTF-8", module, source);
  const bool little = bytes.starts_with(mark_utf16_little), big = bytes.starts_with(mark_utf16_big);
  DecodedText text;
  size_t zero = std::string_view::npos;
  if (little || big) {
    text = from_utf16(bytes.substr(2), big);
    zero = text.words.find('\0');
  } else {
    zero = bytes.find('\0');
    if (bytes.starts_with(mark_utf8)) bytes.remove_prefix(mark_utf8.size());
    text.broken = broken_parts(bytes);
    text.words = text.broken > 0 ? to_utf8(bytes) : std::string(bytes);
  }
  if (zero != std::string_view::npos) {
    throw UserError("[{}] {} is not UTF-8 text: byte {} is zero (UTF-16 is read if it begins with a byte order mark)",
                    module, source, zero + 1);
  }
  end_lines_with_newlines(text.words);
  return text;
}

std::string text_of_bytes(std::string_view bytes, std::string_view source, std::string_view module) {
  DecodedText text = decode_text(bytes, source, module);
  if (text.broken > 0)
    log_warning("[{}] {}: {} no UTF-8 and became U+FFFD", module, source,
                counted(text.broken, "place") + (text.broken == 1 ? " is" : " are"));
  return std::move(text.words);
}

std::string read_text(const Path& file, std::string_view module) {
  return text_of_bytes(MappedFile(file).bytes(), file.string(), module);
}

std::vector<std::string> text_lines(std::string_view words) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < words.size();) {
    const size_t end = std::min(words.find('\n', begin), words.size());
    const std::string_view line = words.substr(begin, end - begin);
    if (!is_blank(line)) lines.emplace_back(line);
    begin = end + 1;
  }
  return lines;
}

std::vector<std::string> read_text_lines(const Path& file, std::string_view module) {
  return text_lines(read_text(file, module));
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

}  // namespace tessera
