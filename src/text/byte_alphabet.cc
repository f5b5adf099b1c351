// See byte_alphabet.h.
#include "text/byte_alphabet.h"

#include <array>
#include <charconv>
#include <cstdint>

#include <fmt/format.h>

#include "text/unicode.h"

namespace tessera::text {

namespace {
constexpr size_t highest = 0x143;  // 0x100 and the 68 bytes that have no printable character of their own

bool printable(int byte) { return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174; }

struct Table {
  std::array<std::string, 256> character;
  std::array<int16_t, highest + 1> byte;
  Table() {
    byte.fill(-1);
    char32_t spare = 0x100;
    for (int b = 0; b < 256; ++b) {
      const char32_t code = printable(b) ? static_cast<char32_t>(b) : spare++;
      append_character(character[static_cast<size_t>(b)], code);
      byte[code] = static_cast<int16_t>(b);
    }
  }
};

const Table& table() {
  static const Table made;
  return made;
}
}  // namespace

std::string to_alphabet(std::string_view bytes) {
  std::string token;
  for (const char c : bytes) token += table().character[static_cast<unsigned char>(c)];
  return token;
}

std::optional<std::string> from_alphabet(std::string_view token) {
  std::string bytes;
  for (size_t at = 0; at < token.size();) {
    const Character c = character_at(token, at);
    if (c.code > highest || table().byte[c.code] < 0) return std::nullopt;
    bytes += static_cast<char>(table().byte[c.code]);
    at += c.length;
  }
  return bytes;
}

std::optional<char> byte_named(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

std::string name_of_byte(char byte) { return fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte)); }

}  // namespace tessera::text
