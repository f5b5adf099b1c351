// See utf8.h; table 3-7 of Unicode 15 says which bytes make a character.
#include "core/utf8.h"

#include <algorithm>

namespace tessera {

namespace {
struct Utf8Part {
  size_t length = 0;
  bool valid = false;
  bool cut = false;  // a valid beginning that the end of the text cuts off
};

/// The character or the maximal broken part at `at`.
Utf8Part utf8_part_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return {1, true};
  if (first < 0xC2 || first > 0xF4) return {1, false};
  const size_t want = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  unsigned char low = 0x80, high = 0xBF;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  for (size_t i = 1; i < want; ++i) {
    if (at + i == text.size()) return {i, false, true};
    if (byte(at + i) < low || byte(at + i) > high) return {i, false};
    low = 0x80;
    high = 0xBF;
  }
  return {want, true};
}
}  // namespace

std::string to_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Part part = utf8_part_at(bytes, at);
    text += part.valid ? bytes.substr(at, part.length) : replacement_character;
    at += part.length;
  }
  return text;
}

int64_t broken_parts(std::string_view bytes) {
  int64_t broken = 0;
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Part part = utf8_part_at(bytes, at);
    broken += !part.valid;
    at += part.length;
  }
  return broken;
}

size_t whole_characters(std::string_view bytes) {
  // at most three bytes of a character can be waiting for its end
  for (size_t at = bytes.size() - std::min<size_t>(bytes.size(), 3); at < bytes.size(); ++at) {
    if (static_cast<unsigned char>(bytes[at]) < 0xC2) continue;
    const Utf8Part part = utf8_part_at(bytes, at);
    if (part.cut && at + part.length == bytes.size()) return at;
  }
  return bytes.size();
}

void append_utf8(std::string& text, char32_t code) {
  const auto trail = [&](int shift) { text += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
    text += replacement_character;
  } else if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | (code >> 6));
    trail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | (code >> 12));
    trail(6);
    trail(0);
  } else {
    text += static_cast<char>(0xF0 | (code >> 18));
    trail(12);
    trail(6);
    trail(0);
  }
}

}  // namespace tessera
