// A reader of one number in a TIFF directory; every offset in it is untrusted and is checked.
#include "media/decoders.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace tessera::media {

namespace {
/// An unsigned number of `size` bytes at `at`; 0 outside the block.
uint32_t number(std::string_view tiff, size_t at, size_t size, bool little) {
  if (at > tiff.size() || tiff.size() - at < size) return 0;
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value = value << 8 | static_cast<unsigned char>(tiff[little ? at + size - 1 - i : at + i]);
  }
  return value;
}
}  // namespace

int exif_orientation(std::string_view exif) {
  using namespace std::string_view_literals;
  constexpr uint32_t orientation_tag = 0x0112;
  if (exif.starts_with("Exif\0\0"sv)) exif.remove_prefix(6);
  const bool little = exif.starts_with("II*\0"sv);
  if (!little && !exif.starts_with("MM\0*"sv)) return 1;
  const size_t directory = number(exif, 4, 4, little);
  const uint32_t entries = number(exif, directory, 2, little);
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + size_t{12} * i;
    if (entry + 12 > exif.size()) return 1;
    if (number(exif, entry, 2, little) != orientation_tag) continue;
    const uint32_t value = number(exif, entry + 8, 2, little);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Image oriented(Image picture, int orientation) {
  if (orientation <= 1 || orientation > 8) return picture;
  const bool turned = orientation >= 5;
  Image upright(turned ? picture.height : picture.width, turned ? picture.width : picture.height, picture.channels);
  for (int64_t y = 0; y < upright.height; ++y) {
    for (int64_t x = 0; x < upright.width; ++x) {
      int64_t from_x = turned ? y : x, from_y = turned ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) {
        from_x = picture.width - 1 - from_x;
      }
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) {
        from_y = picture.height - 1 - from_y;
      }
      std::copy_n(picture.at(from_x, from_y), picture.channels, upright.at(x, y));
    }
  }
  return upright;
}

}  // namespace tessera::media
