// An 8-bit picture in memory: interleaved rows, 3 (RGB) or 4 (RGBA, straight alpha) channels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tessera {

/// Pixels [height, width, channels], row-major, 8 bits.
struct Image {
  int64_t width = 0;
  int64_t height = 0;
  int64_t channels = 3;
  std::vector<uint8_t> pixels;

  Image() = default;
  /// A picture filled with one value (0 is black, or clear when it has alpha).
  Image(int64_t w, int64_t h, int64_t c, uint8_t fill = 0)
      : width(w), height(h), channels(c), pixels(static_cast<size_t>(w * h * c), fill) {}

  uint8_t* at(int64_t x, int64_t y) { return pixels.data() + (y * width + x) * channels; }
  const uint8_t* at(int64_t x, int64_t y) const { return pixels.data() + (y * width + x) * channels; }
  bool operator==(const Image&) const = default;
};

/// A picture, or the frames of a clip in order.
struct Media {
  std::vector<Image> frames;
  bool clip = false;
  std::string source;  // names it in errors
  bool operator==(const Media&) const = default;
};

}  // namespace tessera
