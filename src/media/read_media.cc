// Distinguishes pictures from clips and keeps only the requested frames.
#include "media/read_media.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "core/error.h"
#include "media/compose.h"
#include "media/decoders.h"
#include "media/video.h"

namespace tessera::media {

namespace {
struct Shape {
  int64_t width, height, channels;
};

void check_clip_size(int64_t frames, const Shape& first, std::string_view source) {
  const int64_t bytes = first.width * first.height * first.channels;
  if (frames > max_clip_bytes / std::max<int64_t>(bytes, 1)) {
    throw UserError("[media] {} frames of {} ({}x{}) are too large; want at most {} MB, take fewer frames", frames,
                    source, first.width, first.height, max_clip_bytes >> 20);
  }
}

bool is_clear(const Image& picture) {
  if (picture.channels != 4) return false;
  for (size_t i = 3; i < picture.pixels.size(); i += 4) {
    if (picture.pixels[i] != 255) return true;
  }
  return false;
}

/// The frames `indexes` (ascending) of a player, RGB unless one of them has a clear pixel.
template <class Play>
std::vector<Image> chosen_frames(const std::vector<int64_t>& indexes, std::string_view source, const Play& play) {
  std::vector<Image> frames;
  play([&](int64_t frame, const Image& canvas) {
    if (frame == 0)
      check_clip_size(static_cast<int64_t>(indexes.size()), {canvas.width, canvas.height, canvas.channels}, source);
    while (frames.size() < indexes.size() && indexes[frames.size()] == frame) frames.push_back(canvas);
    return frames.size() < indexes.size();
  });
  if (std::none_of(frames.begin(), frames.end(), is_clear)) {
    for (Image& frame : frames) frame = over(frame, white);
  }
  return frames;
}

std::vector<Image> video_frames(std::string_view bytes, std::string_view source, int64_t wanted) {
  Video video(bytes, std::string(source));
  check_clip_size(wanted, {video.width(), video.height(), 3}, source);
  return video.read(sampled_indexes(video.frames(), wanted));
}
}  // namespace

std::vector<int64_t> sampled_indexes(int64_t stored, int64_t wanted) {
  std::vector<int64_t> indexes(static_cast<size_t>(wanted));
  const double step = wanted > 1 ? static_cast<double>(stored - 1) / static_cast<double>(wanted - 1) : 0;
  for (int64_t i = 0; i < wanted; ++i) {
    const bool last = i > 0 && i == wanted - 1;
    indexes[i] = last ? stored - 1 : static_cast<int64_t>(std::nearbyint(static_cast<double>(i) * step));
  }
  return indexes;
}

Media decode_media(std::string_view bytes, std::string_view source, int64_t frames) {
  if (frames < 1 || frames > max_frames) {
    throw UserError("[media] cannot take {} frames of a clip; want 1 to {}", frames, max_frames);
  }
  Media media{.frames = {}, .clip = true, .source = std::string(source)};
  if (is_unread_clip(bytes)) {
    throw UserError("[media] {} is no clip that Tessera reads; it is {}, want MP4, MOV, WebM or Matroska", source,
                    content_words(bytes));
  }
  const Content content = content_of(bytes);
  if (content == Content::mp4 || content == Content::matroska) {
    media.frames = video_frames(bytes, source, frames);
  } else if (const int64_t stored = content == Content::gif ? count_gif_frames(bytes, source) : 1; stored > 1) {
    media.frames = chosen_frames(sampled_indexes(stored, frames), source,
                                 [&](const ShowFrame& show) { play_gif(bytes, source, show); });
  } else if (const int64_t shown = content == Content::webp ? count_webp_frames(bytes, source) : 1; shown > 1) {
    media.frames = chosen_frames(sampled_indexes(shown, frames), source,
                                 [&](const ShowFrame& show) { play_webp(bytes, source, show); });
  } else {
    media.clip = false;
    media.frames.push_back(decode_image(bytes, source));
  }
  return media;
}

Media read_media(const Path& path, int64_t frames) {
  const MappedFile file(path);
  return decode_media(file.bytes(), path.string(), frames);
}

}  // namespace tessera::media
