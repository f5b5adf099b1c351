// Pictures from files, by their content: PNG, JPEG, WebP.
#pragma once

#include <string_view>

#include "core/files.h"
#include "media/image.h"

namespace tessera::media {

/// RGB or RGBA. Throws UserError naming the file when it cannot be opened, is of another kind, is damaged or cut off.
Image read_image(const Path& path);
/// The same for bytes in memory; `source` names them in errors.
Image decode_image(std::string_view bytes, std::string_view source);

/// JPEG and WebP, or an error that says this build was made without them (media_off.cc).
Image decode_jpeg(std::string_view bytes, std::string_view source);
Image decode_webp(std::string_view bytes, std::string_view source);

}  // namespace tessera::media
