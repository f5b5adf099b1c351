// Stands in for jpeg.cc, webp.cc, gif.cc and encode.cc in builds without TESSERA_MEDIA.
#include "core/error.h"
#include "media/decoders.h"

namespace tessera::media {

namespace {
[[noreturn]] void refuse(std::string_view source, const char* kind) {
  throw UserError("[media] {} is a {}, which this build does not read; build with -DTESSERA_MEDIA=ON", source, kind);
}
}  // namespace

Image decode_jpeg(std::string_view, std::string_view source) { refuse(source, "JPEG"); }
Image decode_webp(std::string_view, std::string_view source) { refuse(source, "WebP"); }
Image decode_gif(std::string_view, std::string_view source) { refuse(source, "GIF"); }
int64_t count_gif_frames(std::string_view, std::string_view source) { refuse(source, "GIF"); }
int64_t count_webp_frames(std::string_view, std::string_view source) { refuse(source, "WebP"); }
void play_gif(std::string_view, std::string_view source, const ShowFrame&) { refuse(source, "GIF"); }
void play_webp(std::string_view, std::string_view source, const ShowFrame&) { refuse(source, "WebP"); }
const bool writes_jpeg_and_webp = false;  // picture_kind refuses both
std::string encode_jpeg(const Image&) { throw FaultError("[media] this build writes no JPEG"); }
std::string encode_webp(const Image&) { throw FaultError("[media] this build writes no WebP"); }

}  // namespace tessera::media
