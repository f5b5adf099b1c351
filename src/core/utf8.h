// Bytes as UTF-8, the one encoding of texts inside Tessera. What must stay true: whatever the bytes, to_utf8() gives valid UTF-8, and
// valid UTF-8 unchanged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tessera {

/// U+FFFD, which stands for what is no character.
inline constexpr std::string_view replacement_character = "\xEF\xBF\xBD";

/// `bytes` with U+FFFD for every maximal part that is no UTF-8 (the Unicode standard's recommended practice).
std::string to_utf8(std::string_view bytes);
/// Number of U+FFFD that to_utf8() puts into `bytes`; 0: `bytes` is valid UTF-8.
int64_t broken_parts(std::string_view bytes);
/// Bytes of `bytes` before a character that the end cuts in two; all of them when the end is whole or broken anyway.
size_t whole_characters(std::string_view bytes);
/// Appends a character as UTF-8; surrogates and numbers above U+10FFFF as U+FFFD.
void append_utf8(std::string& text, char32_t code);

}  // namespace tessera
