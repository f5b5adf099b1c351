// Stands in for jpeg_webp.cc in builds without TESSERA_MEDIA.
#include "core/error.h"
#include "media/read_image.h"

namespace tessera::media {

Image decode_jpeg(std::string_view, std::string_view source) {
  throw UserError("[media] {} is a JPEG, which this build does not read; build with -DTESSERA_MEDIA=ON", source);
}
Image decode_webp(std::string_view, std::string_view source) {
  throw UserError("[media] {} is a WebP, which this build does not read; build with -DTESSERA_MEDIA=ON", source);
}

}  // namespace tessera::media
