// A reader of one number in a TIFF directory, in XMP and in texts that hold either; every offset is untrusted and is
// checked. What counts where several disagree is what Pillow's exif_transpose takes.
#include "media/decoders.h"

#include <algorithm>
#include <cstdint>
#include <optional>
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
constexpr std::string_view kHeading("Exif\0\0", 6);

/// The tag's value, which need not be one of the eight; nothing when the block has no such tag or is damaged.
std::optional<uint32_t> stored_orientation(std::string_view exif) {
  using namespace std::string_view_literals;
  constexpr uint32_t orientation_tag = 0x0112;
  while (exif.starts_with(kHeading)) exif.remove_prefix(kHeading.size());
  const bool little = exif.starts_with("II*\0"sv) || exif.starts_with("II\0*"sv);
  if (!little && !exif.starts_with("MM\0*"sv) && !exif.starts_with("MM*\0"sv)) return std::nullopt;
  const size_t directory = number(exif, 4, 4, little);
  const uint32_t entries = number(exif, directory, 2, little);
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + size_t{12} * i;
    if (entry + 12 > exif.size()) return std::nullopt;
    if (number(exif, entry, 2, little) != orientation_tag) continue;
    const uint32_t type = number(exif, entry + 2, 2, little);  // numbers of 16 or of 32 bits; others are not understood
    return type == 3 || type == 4 ? number(exif, entry + 8, type == 4 ? 4 : 2, little) : 0;
  }
  return std::nullopt;
}

/// The digit after the first `tiff:Orientation="` or `tiff:Orientation>`.
std::optional<uint32_t> xmp_orientation(std::string_view xmp) {
  constexpr std::string_view name = "tiff:Orientation";
  for (size_t at = xmp.find(name); at != std::string_view::npos; at = xmp.find(name, at + 1)) {
    std::string_view rest = xmp.substr(at + name.size());
    if (rest.starts_with("=\"")) rest.remove_prefix(2);
    else if (rest.starts_with('>')) rest.remove_prefix(1);
    else continue;
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return static_cast<uint32_t>(rest[0] - '0');
  }
  return std::nullopt;
}

int one_of_eight(std::optional<uint32_t> value) {
  return value && *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
}
}  // namespace

int exif_orientation(std::string_view exif) { return one_of_eight(stored_orientation(exif)); }

int orientation_of(std::string_view exif, std::string_view xmp) {
  const std::optional<uint32_t> stored = stored_orientation(exif);
  return one_of_eight(stored ? stored : xmp_orientation(xmp));
}

std::string raw_profile(std::string_view text) {
  for (int line = 0; line < 3; ++line) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return "";
    text.remove_prefix(end + 1);
  }
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0 && c != '\n' && c != ' ' && c != '\r' && c != '\t') return "";
    if (digit < 0) continue;
    if (high >= 0) bytes += static_cast<char>(high << 4 | digit);
    high = high >= 0 ? -1 : digit;
  }
  return high < 0 ? bytes : "";
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
