// The one list of endings that name a kind of picture to write.
#include "media/picture_file.h"

#include <algorithm>
#include <cctype>

#include "core/error.h"
#include "media/compose.h"
#include "media/decoders.h"
#include "media/png.h"

namespace tessera::media {

PictureKind picture_kind(const Path& path, std::string_view module) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  if (ending.empty() || ending == ".png") return PictureKind::png;
  const bool jpeg = ending == ".jpg" || ending == ".jpeg";
  if (!jpeg && ending != ".webp") {
    throw UserError("[{}] {} names no kind of picture that Tessera writes; got {}, want .png, .jpg, .jpeg or .webp",
                    module, path.string(), ending);
  }
  if (!writes_jpeg_and_webp) {
    throw UserError("[{}] {}: this build writes PNG alone; got {}, want .png or a build with -DTESSERA_MEDIA=ON",
                    module, path.string(), ending);
  }
  return jpeg ? PictureKind::jpeg : PictureKind::webp;
}

std::string encode_picture(const Image& picture, PictureKind kind) {
  switch (kind) {
    case PictureKind::jpeg:
      return encode_jpeg(over(picture, white));
    case PictureKind::webp:
      return encode_webp(over(picture, white));
    case PictureKind::png:
      break;
  }
  return encode_png(picture);
}

void write_picture(const Path& path, const Image& picture, FileSystem& files) {
  write_file_atomically(path, encode_picture(picture, picture_kind(path, "media")), files);
}

}  // namespace tessera::media
