// How much a file may ask for before it is refused: what decoders check before they allocate.
#pragma once

#include <cstdint>
#include <string_view>

namespace tessera::media {

/// Pictures and frames above this are refused: 2^26 pixels, 256 MB decoded.
inline constexpr int64_t max_pixels = int64_t{1} << 26;
/// Frames that one reading of a clip may keep, and their bytes together.
inline constexpr int64_t max_frames = 4096;
inline constexpr int64_t max_clip_bytes = int64_t{4} << 30;
/// Frames that a clip's file may hold: 19 hours at 60 frames per second.
inline constexpr int64_t max_stored_frames = int64_t{1} << 22;

/// Throws UserError unless 0 < width * height <= max_pixels; `source` names the file.
void check_picture_size(int64_t width, int64_t height, std::string_view source);

}  // namespace tessera::media
