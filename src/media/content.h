// What a file's bytes are, whatever its name says.
#pragma once

#include <string_view>

namespace tessera::media {

/// Kinds that Tessera reads, and all others.
enum class Content { png, jpeg, webp, gif, mp4, matroska, other };

/// Told from the first bytes.
Content content_of(std::string_view bytes);
/// In words, for messages: "empty", "text", "an HTML page", "a PDF", "a JPEG", ...
std::string_view content_words(std::string_view bytes);
/// Throws UserError when the outermost boxes of an MP4 or Matroska file reach past its end: it was cut off. Decoders
/// would show the part that is there.
void check_container(std::string_view bytes, Content content, std::string_view source);

}  // namespace tessera::media
