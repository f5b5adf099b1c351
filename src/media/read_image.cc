// Chooses the decoder by the first bytes.
#include "media/read_media.h"

#include "core/error.h"
#include "media/decoders.h"
#include "media/png.h"

namespace tessera::media {

Image decode_image(std::string_view bytes, std::string_view source) {
  switch (content_of(bytes)) {
    case Content::png:
      return decode_png(bytes, source);
    case Content::jpeg:
      return decode_jpeg(bytes, source);
    case Content::webp:
      return decode_webp(bytes, source);
    case Content::gif:
      return decode_gif(bytes, source);
    default:
      break;
  }
  throw UserError("[media] {} is no picture that Tessera reads; it is {}, want a PNG, JPEG, WebP or GIF", source,
                  content_words(bytes));
}

Image read_image(const Path& path) {
  const MappedFile file(path);
  return decode_image(file.bytes(), path.string());
}

}  // namespace tessera::media
