// Chooses the decoder by the first bytes.
#include "media/read_image.h"

#include "core/error.h"
#include "media/png.h"

namespace tessera::media {

Image decode_image(std::string_view bytes, std::string_view source) {
  if (is_png(bytes)) return decode_png(bytes, source);
  if (bytes.starts_with("\xFF\xD8\xFF")) return decode_jpeg(bytes, source);
  if (bytes.size() >= 12 && bytes.starts_with("RIFF") && bytes.substr(8, 4) == "WEBP")
    return decode_webp(bytes, source);
  throw UserError("[media] {} is no picture that Tessera reads; want PNG, JPEG or WebP", source);
}

Image read_image(const Path& path) {
  const MappedFile file(path);
  return decode_image(file.bytes(), path.string());
}

}  // namespace tessera::media
