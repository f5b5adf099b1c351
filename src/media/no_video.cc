// Stands in for video.cc and its parts in builds without TESSERA_VIDEO.
#include "core/error.h"
#include "media/video.h"

namespace tessera::media {

struct Video::State {};

Video::Video(std::string_view, std::string source) {
  throw UserError("[media] {} is a clip, which this build does not read; build with -DTESSERA_VIDEO=ON", source);
}
Video::~Video() = default;
Video::Video(Video&&) noexcept = default;
Video& Video::operator=(Video&&) noexcept = default;
int64_t Video::frames() const { return 0; }
int64_t Video::width() const { return 0; }
int64_t Video::height() const { return 0; }
std::vector<Image> Video::read(const std::vector<int64_t>&) { return {}; }
int64_t Video::decoded() const { return 0; }

}  // namespace tessera::media
