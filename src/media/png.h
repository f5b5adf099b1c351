// PNG in and out of memory through libpng. Decoding is strict: a damaged or cut-off file is an error, never a half
// picture.
#pragma once

#include <string>
#include <string_view>

#include "core/files.h"
#include "media/decoders.h"
#include "media/image.h"

namespace tessera::media {

/// True when `bytes` open with PNG's signature.
bool is_png(std::string_view bytes);
/// RGBA when the file has transparency, else RGB, upright; of 16-bit samples the high byte. `source` names the bytes
/// in errors. Throws UserError when they are no PNG, are damaged or hold more than `max_pixels`.
Image decode_png(std::string_view bytes, std::string_view source);
/// The same picture gives the same bytes (for one version of zlib).
std::string encode_png(const Image& picture);
/// Written whole or not at all.
void write_png(const Path& path, const Image& picture, FileSystem& files = disk());

}  // namespace tessera::media
