// Base64 (RFC 4648): bytes in 64 letters.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tessera {

std::string base64_encoded(std::string_view bytes);

/// The bytes; nothing for text that is no base64. Reads both alphabets ("+/" and "-_"), passes over line breaks, and does without padding.
std::optional<std::string> base64_decoded(std::string_view text);

}  // namespace tessera
