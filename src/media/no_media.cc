// Stands in for jpeg.cc, webp.cc and gif.cc in builds without TESSERA_MEDIA.
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

}  // namespace tessera::media
