// Chosen frames of a clip, by seeking: frames between the requested ones are skipped where the key frames allow it. Built with TESSERA_VIDEO.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "media/image.h"

namespace tessera::media {

/// A clip in MP4, MOV, WebM or Matroska. Opening it reads the container from end to end without decoding, so that
/// frames are numbered exactly: frame i is the i-th in the order they are shown, however unevenly they are spaced in
/// time. Pixels are upright (rotation in the file is applied), RGB by the file's own colour matrix and range (BT.601
/// when it names none); a pixel aspect other than 1:1 is not applied. Sound and subtitles are ignored.
class Video {
 public:
  /// `bytes` must outlive the clip. Throws UserError when they are damaged or cut off, hold no clip, use a codec that
  /// is not read, or exceed the limits of limits.h.
  Video(std::string_view bytes, std::string source);
  ~Video();
  Video(Video&&) noexcept;
  Video& operator=(Video&&) noexcept;

  int64_t frames() const;
  int64_t width() const;  // of an upright frame
  int64_t height() const;
  /// The frames with these numbers (each in [0, frames())), in the order asked for; numbers may repeat. Throws
  /// UserError naming the first frame that cannot be decoded.
  std::vector<Image> read(const std::vector<int64_t>& indexes);
  /// How many frames have been decoded so far.
  int64_t decoded() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tessera::media
