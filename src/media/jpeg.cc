// JPEG by libjpeg-turbo. Its errors arrive by longjmp, so nothing with a destructor lives between setjmp and its calls.
#include <csetjmp>
#include <cstdio>
#include <string>
#include <utility>

#include <jpeglib.h>
// after jpeglib.h, which it needs
#include <jerror.h>

#include "core/error.h"
#include "media/decoders.h"

namespace tessera::media {

namespace {
constexpr int kMostScans = 200;  // of a progressive file; each visits every block, encoders write about ten

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

[[noreturn]] void stop_with(j_common_ptr info, const char* message) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  std::snprintf(errors->message, sizeof errors->message, "%s", message);
  std::longjmp(errors->jump, 1);
}

/// libjpeg calls this with level -1 for damage that it papers over with grey. Stray bytes before the end marker lose
/// nothing.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  const bool stray = info->err->msg_code == JWRN_EXTRANEOUS_DATA && info->err->msg_parm.i[1] == JPEG_EOI;
  if (!stray) stop(info);
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMostScans) stop_with(info, "too many scans");
}

int orientation_of(const jpeg_decompress_struct& info) {
  for (jpeg_saved_marker_ptr marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (marker->marker == JPEG_APP0 + 1 && data.starts_with("Exif")) return exif_orientation(data);
  }
  return 1;
}

bool is_cmyk(const jpeg_decompress_struct& info) {
  return info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
}

bool read_header(jpeg_decompress_struct& info, JpegErrors& errors, std::string_view bytes) {
  if (setjmp(errors.jump) != 0) return false;
  jpeg_create_decompress(&info);
  jpeg_save_markers(&info, JPEG_APP0 + 1, 0xFFFF);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = is_cmyk(info) ? JCS_CMYK : JCS_RGB;
  return true;
}

/// Fills `picture`, which has the size and the channels already.
bool read_rows(jpeg_decompress_struct& info, JpegErrors& errors, Image& picture) {
  if (setjmp(errors.jump) != 0) return false;
  jpeg_start_decompress(&info);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = picture.at(0, info.output_scanline);
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  return true;
}

struct JpegHandle {
  jpeg_decompress_struct info{};
  JpegErrors errors{};
  jpeg_progress_mgr progress{};

  JpegHandle() {
    info.err = jpeg_std_error(&errors.base);
    errors.base.error_exit = stop;
    errors.base.emit_message = on_message;
  }
  ~JpegHandle() { jpeg_destroy_decompress(&info); }
  JpegHandle(const JpegHandle&) = delete;
  JpegHandle& operator=(const JpegHandle&) = delete;
};

/// Adobe's inverted CMYK to RGB: each ink and the black multiply.
Image rgb_of_cmyk(const Image& cmyk) {
  Image picture(cmyk.width, cmyk.height, 3);
  const uint8_t* from = cmyk.pixels.data();
  for (size_t i = 0; i < picture.pixels.size(); i += 3, from += 4) {
    const int light = from[3];  // inverted: 255 is no black
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - from[c]) * light + 128, shade = (product + (product >> 8)) >> 8;
      picture.pixels[i + c] = static_cast<uint8_t>(light - shade);
    }
  }
  return picture;
}
}  // namespace

Image decode_jpeg(std::string_view bytes, std::string_view source) {
  JpegHandle jpeg;
  const auto damaged = [&] {
    return UserError("[media] {} is a damaged JPEG: {}", source, std::string(jpeg.errors.message));
  };
  if (!read_header(jpeg.info, jpeg.errors, bytes)) throw damaged();
  check_picture_size(jpeg.info.image_width, jpeg.info.image_height, source);
  jpeg.progress.progress_monitor = on_progress;
  jpeg.info.progress = &jpeg.progress;
  const bool cmyk = is_cmyk(jpeg.info);
  const int orientation = orientation_of(jpeg.info);  // before the last row: libjpeg then lets the markers go
  Image picture(jpeg.info.image_width, jpeg.info.image_height, cmyk ? 4 : 3);
  if (!read_rows(jpeg.info, jpeg.errors, picture)) throw damaged();
  if (cmyk) picture = rgb_of_cmyk(picture);
  return oriented(std::move(picture), orientation);
}

}  // namespace tessera::media
