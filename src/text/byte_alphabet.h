// How vocabularies write bytes: the alphabet of byte-level BPE (each byte has a printable character, so that any bytes
// can be written in JSON), and the names that SentencePiece gives them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tessera::text {

/// The character of each byte (GPT-2's table): printable Latin-1 is itself, the rest is U+0100 and up.
std::string to_alphabet(std::string_view bytes);
/// The bytes again; nothing when a character is not of the alphabet. `token` is valid UTF-8.
std::optional<std::string> from_alphabet(std::string_view token);

/// The byte that a token such as "<0xAB>" names, and that name.
std::optional<char> byte_named(std::string_view token);
std::string name_of_byte(char byte);

/// U+2581, which is a space in pieces of SentencePiece.
inline constexpr std::string_view blank = "\xE2\x96\x81";

}  // namespace tessera::text
