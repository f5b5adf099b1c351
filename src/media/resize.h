// Bicubic resizing, equal to Pillow's Image.resize(BICUBIC) in every bit: what vision towers were trained on.
#pragma once

#include "media/image.h"

namespace tessera::media {

/// Resizes to `width` x `height` (each at least 1) with Keys' cubic, a = -0.5 (Keys 1981), its support widened when
/// shrinking. Coefficients are 22-bit fixed point and each of the two passes is rounded to 8 bits, as Pillow does. The
/// order of the passes is that of Pillow 13: columns first, unless more than twice as many rows as columns go (earlier
/// releases: always columns first). RGBA goes through premultiplied colours, so that clear pixels lend none. Throws
/// UserError for a size that check_picture_size refuses.
Image resize_bicubic(const Image& picture, int64_t width, int64_t height);

}  // namespace tessera::media
