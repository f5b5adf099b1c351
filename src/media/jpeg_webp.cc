// JPEG by libjpeg (warnings count: a cut-off file is an error) and WebP by libwebp.
#include <csetjmp>
#include <cstdio>
#include <string>

#include <jpeglib.h>
#include <webp/decode.h>

#include "core/error.h"
#include "media/png.h"
#include "media/read_image.h"

namespace tessera::media {

namespace {
struct JpegErrors {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

void stop(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}

/// libjpeg calls this with level -1 for damage that it papers over with grey.
void on_message(j_common_ptr info, int level) {
  if (level < 0) stop(info);
}

/// Fills `picture` row by row. No object with a destructor may live here: libjpeg leaves by longjmp.
bool decode_rows(jpeg_decompress_struct& info, JpegErrors& errors, std::string_view bytes, Image& picture) {
  if (setjmp(errors.jump) != 0) return false;
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&info);
  if (static_cast<int64_t>(info.output_width) * info.output_height > max_pixels) {
    std::snprintf(errors.message, sizeof errors.message, "%u x %u pixels are too many", info.output_width,
                  info.output_height);
    return false;
  }
  picture = Image(info.output_width, info.output_height, 3);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = picture.at(0, info.output_scanline);
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  return true;
}
}  // namespace

Image decode_jpeg(std::string_view bytes, std::string_view source) {
  jpeg_decompress_struct info{};
  JpegErrors errors{};
  info.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = stop;
  errors.base.emit_message = on_message;
  Image picture;
  const bool whole = decode_rows(info, errors, bytes, picture);
  jpeg_destroy_decompress(&info);
  if (!whole) throw UserError("[media] {} is a damaged JPEG: {}", source, std::string(errors.message));
  return picture;
}

Image decode_webp(std::string_view bytes, std::string_view source) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features{};
  if (WebPGetFeatures(data, bytes.size(), &features) != VP8_STATUS_OK)
    throw UserError("[media] {} is a damaged WebP: its header", source);
  if (features.has_animation) throw UserError("[media] {} is an animated WebP; want a still picture", source);
  check_picture_size(features.width, features.height, source);
  Image picture(features.width, features.height, features.has_alpha ? 4 : 3);
  const auto decode = features.has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  const int stride = static_cast<int>(picture.width * picture.channels);
  if (decode(data, bytes.size(), picture.pixels.data(), picture.pixels.size(), stride) == nullptr) {
    throw UserError("[media] {} is a damaged WebP: its pixels", source);
  }
  return picture;
}

}  // namespace tessera::media
