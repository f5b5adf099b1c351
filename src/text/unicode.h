// UTF-8 and the few properties of characters that tokenizers ask for. Everything past to_utf8() is valid UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/utf8.h"

namespace tessera::text {

using tessera::to_utf8;
using tessera::whole_characters;

/// One character of valid UTF-8.
struct Character {
  char32_t code = 0;
  size_t length = 0;  // bytes
};
Character character_at(std::string_view text, size_t at);
/// The character that ends before `end`; end > 0.
Character character_before(std::string_view text, size_t end);
void append_character(std::string& text, char32_t code);

/// Normalization form C.
std::string nfc(std::string_view text);

bool is_space(char32_t code);    // White_Space
bool is_word(char32_t code);     // letters, marks, decimal digits, connecting punctuation and joiners
bool is_numeric(char32_t code);  // general category N
bool is_upper(char32_t code);
bool is_lower(char32_t code);
bool is_cased(char32_t code);      // upper, lower or title case
bool is_letter(char32_t code);     // general category L
bool is_printable(char32_t code);  // as Python's str.isprintable

/// The character in another case, as UTF-8; ß and the Latin ligatures become two letters and more.
std::string to_upper(char32_t code);
std::string to_lower(char32_t code);
std::string to_title(char32_t code);

}  // namespace tessera::text
