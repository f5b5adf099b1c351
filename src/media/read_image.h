// Pictures from files, by their content: PNG, JPEG, WebP, GIF.
#pragma once

#include <string_view>

#include "core/files.h"
#include "media/image.h"

namespace tessera::media {

/// RGB, or RGBA where the file has transparency; upright. Of an animation the first frame. Throws UserError naming the
/// file when it cannot be opened, is of another kind (says what it looks like), is damaged or cut off, or is too large.
Image read_image(const Path& path);
/// The same for bytes in memory; `source` names them in errors.
Image decode_image(std::string_view bytes, std::string_view source);

}  // namespace tessera::media
