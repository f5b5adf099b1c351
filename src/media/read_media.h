// A picture or a clip from a file, whichever its content is.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "media/image.h"

namespace tessera::media {

/// RGB, or RGBA where the file has transparency; upright. Of an animation the first frame. Throws UserError naming the
/// file when it cannot be opened, is of another kind (the message names what it looks like), is damaged or cut off, or is too large.
Image read_image(const Path& path);
/// The same for bytes in memory; `source` names them in errors.
Image decode_image(std::string_view bytes, std::string_view source);

/// A still picture (see read_image), or `frames` frames of a clip (MP4, MOV, WebM, Matroska; GIF and WebP of more
/// than one frame) spread evenly by sampled_indexes. All frames of a GIF or WebP have the same channels. Throws
/// UserError naming the file, and the frame when one cannot be decoded: nothing is skipped or filled in.
Media read_media(const Path& path, int64_t frames);
/// The same for bytes in memory; `source` names them.
Media decode_media(std::string_view bytes, std::string_view source, int64_t frames);

/// Which of `stored` frames represent a clip: round(linspace(0, stored - 1, wanted)), halves to even, as NVILA's
/// reference does. Frames repeat when fewer are stored than wanted.
std::vector<int64_t> sampled_indexes(int64_t stored, int64_t wanted);

}  // namespace tessera::media
