// JPEG and WebP out of memory. libjpeg's errors arrive by longjmp, so nothing with a destructor lives between setjmp and its
// calls.
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include <jpeglib.h>
#include <webp/encode.h>

#include "core/error.h"
#include "media/decoders.h"

namespace tessera::media {

const bool writes_jpeg_and_webp = true;

namespace {
struct JpegWriter {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX] = "";
  unsigned char* bytes = nullptr;
  unsigned long size = 0;

  JpegWriter() {
    info.err = jpeg_std_error(&errors);
    info.client_data = this;
    errors.error_exit = [](j_common_ptr failed) {
      auto* writer = static_cast<JpegWriter*>(failed->client_data);
      failed->err->format_message(failed, writer->message);
      std::longjmp(writer->jump, 1);
    };
  }
  ~JpegWriter() {
    jpeg_destroy_compress(&info);
    std::free(bytes);
  }
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;
};

bool write_rows(JpegWriter& writer, const Image& picture) {
  constexpr int quality = 95;
  if (setjmp(writer.jump) != 0) return false;
  jpeg_compress_struct& info = writer.info;
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, &writer.bytes, &writer.size);
  info.image_width = static_cast<JDIMENSION>(picture.width);
  info.image_height = static_cast<JDIMENSION>(picture.height);
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  for (int component = 0; component < 3; ++component) {
    info.comp_info[component].h_samp_factor = 1;
    info.comp_info[component].v_samp_factor = 1;
  }
  info.optimize_coding = TRUE;
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    JSAMPROW row = const_cast<uint8_t*>(picture.at(0, info.next_scanline));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  return true;
}
}  // namespace

std::string encode_jpeg(const Image& picture) {
  JpegWriter writer;
  if (!write_rows(writer, picture)) {
    throw FaultError("[media] cannot encode a {}x{} picture as JPEG: {}", picture.width, picture.height,
                     std::string(writer.message));
  }
  return {reinterpret_cast<const char*>(writer.bytes), writer.size};
}

std::string encode_webp(const Image& picture) {
  uint8_t* bytes = nullptr;
  const size_t size =
      WebPEncodeLosslessRGB(picture.pixels.data(), static_cast<int>(picture.width), static_cast<int>(picture.height),
                            static_cast<int>(picture.width * 3), &bytes);
  const std::unique_ptr<uint8_t, decltype(&WebPFree)> owned(bytes, WebPFree);
  if (size == 0) {
    throw FaultError("[media] cannot encode a {}x{} picture as WebP, which holds at most 16383 pixels a side",
                     picture.width, picture.height);
  }
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace tessera::media
