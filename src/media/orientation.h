// Which way up a picture is: the orientation tag of Exif, and the eight ways it can turn pixels.
#pragma once

#include <string_view>

#include "media/image.h"

namespace tessera::media {

/// The tag in an Exif block (with or without its "Exif" heading), 1 to 8; 1 when there is none or the block is damaged.
int exif_orientation(std::string_view exif);
/// Upright pixels of a picture stored with this orientation: 2 to 4 mirror or turn in place, 5 to 8 exchange the sides.
Image oriented(Image picture, int orientation);

}  // namespace tessera::media
