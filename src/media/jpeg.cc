// JPEG by libjpeg-turbo. Its errors arrive by longjmp, so nothing with a destructor lives between setjmp and its calls.
#include <algorithm>
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
  std::string_view file;
  const char* told = nullptr;  // up to where stray bytes have been told of
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

/// How many bytes before the markers of a scan are filling, which no pixel needs, up to where libjpeg has read to. It tells
/// of bytes that it had fetched ahead only at some later marker, so that all since it last told of any are counted.
unsigned filling_since_last_told(const jpeg_decompress_struct& info, JpegErrors& errors) {
  const char* end = reinterpret_cast<const char*>(info.src->next_input_byte);
  const char* last = errors.file.data() + errors.file.size();
  if (end < errors.told || end > last) return 0;
  const std::string_view seen(errors.told, static_cast<size_t>(end - errors.told));
  errors.told = end;
  const auto is_fill = [](char byte) { return byte == 0 || byte == '\xFF'; };
  unsigned count = 0, run = 0;
  for (size_t at = 0; at < seen.size(); ++at) {
    const bool restart = at + 1 < seen.size() && seen[at] == '\xFF' && (seen[at + 1] & 0xF8) == JPEG_RST0;
    if (restart) count += run;
    run = is_fill(seen[at]) && !restart ? run + 1 : 0;
  }
  return count + run;
}

/// True when bytes that are left over before a marker of a scan are filling, or too few for coded pixels: damage that
/// cuts a part of the scan short leaves more.
bool is_stray(const jpeg_decompress_struct& info, JpegErrors& errors, int bytes) {
  constexpr unsigned few = 4;
  return static_cast<unsigned>(bytes) <= filling_since_last_told(info, errors) + few;
}

/// How libjpeg goes on when it finds another marker than restart marker `wanted`: true when it takes that one for the
/// wanted one, so that no block is lost (jpeg_resync_to_restart).
bool resyncs_in_place(int marker, int wanted) {
  if (marker < JPEG_RST0 || marker > JPEG_RST0 + 7) return false;
  const int ahead = (marker - JPEG_RST0 - wanted) & 7;
  return ahead >= 3 && ahead <= 5;
}

/// Whether a warning of libjpeg tells of pixels that it could not decode and made up. Odd headers and bytes between
/// segments lose nothing; whether all scans have come is looked at when they are through (is_complete).
bool loses_pixels(const jpeg_decompress_struct& info, JpegErrors& errors) {
  const int* parameters = info.err->msg_parm.i;
  switch (info.err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_JPEG_EOF:
      return false;
    case JWRN_EXTRANEOUS_DATA:
      return info.input_scan_number > 0 && parameters[1] != JPEG_EOI && !is_stray(info, errors, parameters[0]);
    case JWRN_MUST_RESYNC:
      return !resyncs_in_place(parameters[0], parameters[1]);
    default:
      return true;
  }
}

/// libjpeg calls this with level -1 for warnings. Damage that it papers over with grey is an error here.
void on_message(j_common_ptr info, int level) {
  auto& errors = *reinterpret_cast<JpegErrors*>(info->err);
  if (level < 0 && loses_pixels(*reinterpret_cast<j_decompress_ptr>(info), errors)) stop(info);
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMostScans) stop_with(info, "too many scans");
}

/// True when each component has had its scan and, of a progressive file, each coefficient all of its bits.
bool is_complete(const jpeg_decompress_struct& info) {
  for (int component = 0; component < info.num_components; ++component) {
    if (info.comp_info[component].quant_table == nullptr) return false;
    const int* bits = info.progressive_mode && info.coef_bits != nullptr ? info.coef_bits[component] : nullptr;
    if (bits != nullptr && std::any_of(bits, bits + DCTSIZE2, [](int missing) { return missing != 0; })) return false;
  }
  return true;
}

int jpeg_orientation(const jpeg_decompress_struct& info) {
  constexpr std::string_view exif_heading("Exif\0\0", 6), xmp_heading("http://ns.adobe.com/xap/1.0/\0", 29);
  std::string exif, xmp;  // a block that is longer than a segment goes on in the next one
  for (jpeg_saved_marker_ptr marker = info.marker_list; marker != nullptr; marker = marker->next) {
    const std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (data.starts_with(exif_heading)) exif += data.substr(exif.empty() ? 0 : exif_heading.size());
    if (data.starts_with(xmp_heading)) xmp = data.substr(xmp_heading.size());
  }
  return orientation_of(exif, xmp);
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
  if (!is_complete(info)) stop_with(reinterpret_cast<j_common_ptr>(&info), "it ends before its last scan");
  return true;
}

struct JpegHandle {
  jpeg_decompress_struct info{};
  JpegErrors errors{};
  jpeg_progress_mgr progress{};

  explicit JpegHandle(std::string_view bytes) {
    errors.file = bytes;
    errors.told = bytes.data();
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
  JpegHandle jpeg(bytes);
  const auto damaged = [&] {
    return UserError("[media] {} is a damaged JPEG: {}", source, std::string(jpeg.errors.message));
  };
  if (!read_header(jpeg.info, jpeg.errors, bytes)) throw damaged();
  check_picture_size(jpeg.info.image_width, jpeg.info.image_height, source);
  jpeg.progress.progress_monitor = on_progress;
  jpeg.info.progress = &jpeg.progress;
  const bool cmyk = is_cmyk(jpeg.info);
  const int orientation = jpeg_orientation(jpeg.info);  // before the last row: libjpeg then lets the markers go
  Image picture(jpeg.info.image_width, jpeg.info.image_height, cmyk ? 4 : 3);
  if (!read_rows(jpeg.info, jpeg.errors, picture)) throw damaged();
  if (cmyk) picture = rgb_of_cmyk(picture);
  return oriented(std::move(picture), orientation);
}

}  // namespace tessera::media
