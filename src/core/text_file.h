// The one reader of people's texts: training, evaluation, prompts, captions and citations read through it. What must stay true: how a
// program ended its lines, and whether it began the file with a byte order mark, never changes a number.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"

namespace tessera {

/// A text as a tokenizer is given it.
struct DecodedText {
  std::string words;   // valid UTF-8 without a byte order mark; lines end with "\n" alone
  int64_t broken = 0;  // parts that were no characters and are U+FFFD in `words`
};

/// UTF-8 with or without a byte order mark, or UTF-16 with one; "\r\n" and a lone "\r" become "\n". `source` names it in errors and
/// `module` opens them. Throws UserError for UTF-32 and for zero bytes, which no text has (UTF-16 without a mark has them).
DecodedText decode_text(std::string_view bytes, std::string_view source, std::string_view module);

/// The words of bytes; warns when some of them became U+FFFD. Throws UserError as decode_text() does.
std::string text_of_bytes(std::string_view bytes, std::string_view source, std::string_view module);

/// The words of a file; warns when some of it became U+FFFD. Throws UserError as decode_text() does, and when it cannot be opened.
std::string read_text(const Path& file, std::string_view module);

/// The lines of a text that are not blank, without their ends.
std::vector<std::string> text_lines(std::string_view words);

/// The lines of a file that are not blank, read as read_text() does, without their ends.
std::vector<std::string> read_text_lines(const Path& file, std::string_view module);

/// Whether a text holds nothing but spaces, tabs and line ends.
bool is_blank(std::string_view text);

}  // namespace tessera
