// Resizing, laying over and arranging pictures. All arithmetic is on whole numbers, so pixels are the same on every machine.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "media/image.h"

namespace tessera::media {

/// A colour, sRGB.
using Rgb = std::array<uint8_t, 3>;
inline constexpr Rgb white{255, 255, 255};

/// Each output pixel is the mean of the area it covers (exact, in sRGB values; colour weighted by alpha). Any size to any size.
Image resize_area(const Image& picture, int64_t width, int64_t height);
/// RGBA over a plain ground; RGB passes unchanged. Returns RGB.
Image over(const Image& picture, const Rgb& ground);
/// Lays `sprite` (RGBA or RGB) on `canvas` (RGB) with its left top corner at (x, y); what falls outside is cut.
void paste(Image& canvas, const Image& sprite, int64_t x, int64_t y);
/// Part of a picture; the rectangle is inside it.
Image crop(const Image& picture, int64_t x, int64_t y, int64_t width, int64_t height);
/// The largest centred square, scaled to `size` x `size`.
Image centre_square(const Image& picture, int64_t size);
/// Padded with clear pixels to a square with the picture in the middle. Returns RGBA.
Image pad_to_square(const Image& picture);

struct SheetOptions {
  int64_t columns = 0;  // 0: about square
  int64_t gap = 4;      // pixels between pictures and around them
  Rgb ground = white;
};
/// Pictures in reading order on one sheet; each cell is as large as the largest picture. Returns RGB.
Image contact_sheet(const std::vector<Image>& pictures, const SheetOptions& options = {});

/// Resizes to `width` x `height` (each at least 1) with Keys' cubic, a = -0.5 (Keys 1981), its support widened when
/// shrinking. Coefficients are 22-bit fixed point and each of the two passes is rounded to 8 bits, as Pillow does. The
/// order of the passes is that of Pillow 13: columns first, unless more than twice as many rows as columns go (earlier
/// releases: always columns first). RGBA goes through premultiplied colours, so that transparent pixels contribute none. Throws
/// UserError for a size that check_picture_size refuses.
Image resize_bicubic(const Image& picture, int64_t width, int64_t height);
/// The same with Lanczos' window of three lobes, sinc(x) sinc(x / 3).
Image resize_lanczos(const Image& picture, int64_t width, int64_t height);

}  // namespace tessera::media
