// PNG by libpng. Reading uses its long-jumping interface, because the simplified one changes samples by gamma; nothing
// with a destructor lives between setjmp and its calls.
#include "media/png.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "core/error.h"
#include "media/decoders.h"

namespace tessera::media {

namespace {
constexpr png_uint_32 pixels_chunk = 'I' << 24 | 'D' << 16 | 'A' << 8 | 'T';

struct PngReading {
  std::string_view rest;
  std::jmp_buf jump;
  char message[256];
  size_t checksum_lacks = 0;  // bytes of the pixels' checksum, where the file breaks off within it
};

[[noreturn]] void stop(png_structp png, png_const_charp message) {
  auto* reading = static_cast<PngReading*>(png_get_error_ptr(png));
  std::snprintf(reading->message, sizeof reading->message, "%s", message);
  std::longjmp(reading->jump, 1);
}

void ignore(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep to, size_t size) {
  auto* reading = static_cast<PngReading*>(png_get_io_ptr(png));
  if (reading->rest.size() < size) {
    const bool checksum = (png_get_io_state(png) & PNG_IO_MASK_LOC) == PNG_IO_CHUNK_CRC;
    if (checksum && png_get_io_chunk_type(png) == pixels_chunk) reading->checksum_lacks = size - reading->rest.size();
    stop(png, "the file ends too soon");
  }
  std::memcpy(to, reading->rest.data(), size);
  reading->rest.remove_prefix(size);
}

struct PngReader {
  PngReading reading{};
  png_structp png = nullptr;
  png_infop info = nullptr;

  /// `checked`: a wrong checksum is damage.
  PngReader(std::string_view bytes, bool checked) {
    reading.rest = bytes;
    png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reading, stop, ignore);
    info = png == nullptr ? nullptr : png_create_info_struct(png);
    if (info == nullptr) throw FaultError("[media] libpng does not start");
    if (!checked) png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_NO_CHANGE);
  }
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;
};

/// Everything becomes 8-bit RGB or RGBA; 16-bit samples lose their low byte, as in Pillow.
bool read_header(PngReader& reader) {
  if (setjmp(reader.reading.jump) != 0) return false;
  png_set_read_fn(reader.png, &reader.reading, read_bytes);
  png_set_user_limits(reader.png, max_pixels, max_pixels);
  png_set_chunk_cache_max(reader.png, 128);
  png_read_info(reader.png, reader.info);
  png_set_expand(reader.png);
  png_set_strip_16(reader.png);
  png_set_gray_to_rgb(reader.png);
  return true;
}

bool read_rows(PngReader& reader, Image& picture) {
  if (setjmp(reader.reading.jump) != 0) return false;
  const int passes = png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  if (png_get_rowbytes(reader.png, reader.info) != static_cast<size_t>(picture.width * picture.channels)) {
    stop(reader.png, "rows of an unexpected length");
  }
  for (int pass = 0; pass < passes; ++pass) {
    for (int64_t y = 0; y < picture.height; ++y) png_read_row(reader.png, picture.at(0, y), nullptr);
  }
  return true;
}

/// Reads what is behind the last row. A file that breaks off after the chunks of pixels have proved right, or whose end chunk is
/// damaged, has lost no pixel.
bool read_end(PngReader& reader) {
  if (setjmp(reader.reading.jump) == 0) {
    png_read_end(reader.png, reader.info);
    return true;
  }
  const bool between = (png_get_io_state(reader.png) & PNG_IO_MASK_LOC) == PNG_IO_CHUNK_HDR;
  return between || png_get_io_chunk_type(reader.png) != pixels_chunk;
}

/// The last text of this name; of a compressed one what it unpacks to.
std::string_view text_of(const PngReader& reader, std::string_view name) {
  png_textp texts = nullptr;
  int count = 0;
  png_get_text(reader.png, reader.info, &texts, &count);
  for (int i = count - 1; i >= 0; --i) {
    if (texts[i].key != name) continue;
    return {texts[i].text, std::max(texts[i].text_length, texts[i].itxt_length)};
  }
  return {};
}

/// The chunk of Exif, or the texts in which Exif and XMP were written before there was one. Pillow does not look into
/// "APP1", which holds either.
int png_orientation(const PngReader& reader) {
  std::string exif = raw_profile(text_of(reader, "Raw profile type exif"));
  std::string xmp(text_of(reader, "XML:com.adobe.xmp"));
  png_uint_32 size = 0;
  png_bytep chunk = nullptr;
  if (png_get_eXIf_1(reader.png, reader.info, &size, &chunk) != 0)
    exif.assign(reinterpret_cast<const char*>(chunk), size);
  const std::string other = raw_profile(text_of(reader, "Raw profile type APP1"));
  if (exif.empty()) exif = other;
  if (xmp.empty()) xmp = other;
  return orientation_of(exif, xmp);
}

/// Frees what libpng holds, also when encoding throws.
struct PngWriter {
  png_image image{};
  PngWriter() { image.version = PNG_IMAGE_VERSION; }
  ~PngWriter() { png_image_free(&image); }
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;
};
}  // namespace

bool is_png(std::string_view bytes) { return bytes.starts_with("\x89PNG\r\n\x1a\n"); }

void check_picture_size(int64_t width, int64_t height, std::string_view source) {
  if (width <= 0 || height <= 0 || width > max_pixels / height) {
    throw UserError("[media] {} has an impossible size; got {}x{}, want at most {} pixels", source, width, height,
                    max_pixels);
  }
}

namespace {
Image decode(std::string_view bytes, std::string_view source, bool checked) {
  PngReader reader(bytes, checked);
  const auto damaged = [&] {
    return UserError("[media] {} is a damaged PNG: {}", source, std::string(reader.reading.message));
  };
  if (!read_header(reader)) throw damaged();
  const int64_t width = png_get_image_width(reader.png, reader.info);
  const int64_t height = png_get_image_height(reader.png, reader.info);
  check_picture_size(width, height, source);
  const bool alpha = (png_get_color_type(reader.png, reader.info) & PNG_COLOR_MASK_ALPHA) != 0 ||
                     png_get_valid(reader.png, reader.info, PNG_INFO_tRNS) != 0;
  Image picture(width, height, alpha ? 4 : 3);
  if (!read_rows(reader, picture) || !read_end(reader)) {
    const size_t lacks = reader.reading.checksum_lacks;
    if (!checked || lacks == 0) throw damaged();
    // All that came before was checked. Where the pixels are whole, nothing but their checksum is lost.
    return decode(std::string(bytes) + std::string(lacks, '\0'), source, /*checked=*/false);
  }
  return oriented(std::move(picture), png_orientation(reader));
}
}  // namespace

Image decode_png(std::string_view bytes, std::string_view source) { return decode(bytes, source, /*checked=*/true); }

std::string encode_png(const Image& picture) {
  PngWriter png;
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
