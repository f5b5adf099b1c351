// libpng's simplified interface: it reports failures by return value, so no long jumps cross our frames.
#include "media/png.h"

#include <png.h>

#include "core/error.h"

namespace tessera::media {

namespace {
/// Frees what libpng holds, also when decoding throws.
struct PngHandle {
  png_image image{};
  PngHandle() { image.version = PNG_IMAGE_VERSION; }
  ~PngHandle() { png_image_free(&image); }
  PngHandle(const PngHandle&) = delete;
  PngHandle& operator=(const PngHandle&) = delete;
};
}  // namespace

bool is_png(std::string_view bytes) { return bytes.starts_with("\x89PNG\r\n\x1a\n"); }

void check_picture_size(int64_t width, int64_t height, std::string_view source) {
  if (width <= 0 || height <= 0 || width > max_pixels / height) {
    throw UserError("[media] {} has an impossible size; got {}x{}, want at most {} pixels", source, width, height,
                    max_pixels);
  }
}

Image decode_png(std::string_view bytes, std::string_view source) {
  PngHandle png;
  if (!png_image_begin_read_from_memory(&png.image, bytes.data(), bytes.size())) {
    throw UserError("[media] cannot read {} as PNG: {}", source, png.image.message);
  }
  check_picture_size(png.image.width, png.image.height, source);
  const bool alpha = (png.image.format & PNG_FORMAT_FLAG_ALPHA) != 0;
  png.image.format = alpha ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
  Image picture(png.image.width, png.image.height, alpha ? 4 : 3);
  if (!png_image_finish_read(&png.image, nullptr, picture.pixels.data(), 0, nullptr)) {
    throw UserError("[media] {} is a damaged PNG: {}", source, png.image.message);
  }
  return picture;
}

std::string encode_png(const Image& picture) {
  PngHandle png;
  png.image.width = static_cast<png_uint_32>(picture.width);
  png.image.height = static_cast<png_uint_32>(picture.height);
  png.image.format = picture.channels == 4 ? PNG_FORMAT_RGBA : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(png.image);
  std::string bytes(size, '\0');
  if (!png_image_write_to_memory(&png.image, bytes.data(), &size, 0, picture.pixels.data(), 0, nullptr)) {
    throw FaultError("[media] cannot encode a {}x{} picture as PNG: {}", picture.width, picture.height,
                     png.image.message);
  }
  bytes.resize(size);
  return bytes;
}

void write_png(const Path& path, const Image& picture, FileSystem& files) {
  write_file_atomically(path, encode_png(picture), files);
}

}  // namespace tessera::media
