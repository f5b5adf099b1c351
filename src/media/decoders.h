// One decoder per format of pictures. Bytes are foreign: each returns a whole picture or throws UserError naming
// `source`. Builds without TESSERA_MEDIA have PNG alone, the others say so (no_media.cc).
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "media/image.h"

namespace tessera::media {

/// RGB; grey, CMYK and YCCK (inverted, as Adobe writes them) are converted, the Exif orientation is applied. Every
/// warning of libjpeg that means lost data is an error.
Image decode_jpeg(std::string_view bytes, std::string_view source);
/// RGB, or RGBA when the file has alpha; the first frame of an animation. The Exif orientation is applied.
Image decode_webp(std::string_view bytes, std::string_view source);
/// The first frame on its canvas: RGB, or RGBA when a pixel is clear.
Image decode_gif(std::string_view bytes, std::string_view source);

/// Frames of the file; 1 for a still picture. Counting decodes no pixels.
int64_t count_gif_frames(std::string_view bytes, std::string_view source);
int64_t count_webp_frames(std::string_view bytes, std::string_view source);

/// Sees the whole canvas after each frame, in order; false ends the showing.
using ShowFrame = std::function<bool(int64_t frame, const Image& canvas)>;
/// Plays an animation from its start: every frame that is shown is decoded, and those before it. RGBA canvases for GIF;
/// WebP as decode_webp. A frame that cannot be decoded is a UserError that names it.
void play_gif(std::string_view bytes, std::string_view source, const ShowFrame& show);
void play_webp(std::string_view bytes, std::string_view source, const ShowFrame& show);

}  // namespace tessera::media
