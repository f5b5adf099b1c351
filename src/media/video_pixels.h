// Frames as decoders give them (planes, subsampled, any depth) to 8-bit RGB, through libswscale.
#pragma once

#include <memory>

extern "C" {
#include <libavutil/frame.h>
#include <libswscale/swscale.h>
}

#include "media/image.h"

namespace tessera::media {

/// Keeps the tables of the last frame's format, which clips seldom change.
class PixelConverter {
 public:
  /// RGB of the frame's own size, by its colour matrix and range. Throws FaultError when libswscale cannot convert it.
  Image rgb(const AVFrame& frame);

 private:
  struct Layout {
    int width = 0, height = 0;
    AVPixelFormat format = AV_PIX_FMT_NONE;
    AVColorSpace matrix = AVCOL_SPC_UNSPECIFIED;
    bool full_range = false;
    AVChromaLocation chroma = AVCHROMA_LOC_UNSPECIFIED;
    bool operator==(const Layout&) const = default;
  };
  static SwsContext* make_context(const Layout& layout);

  struct Free {
    void operator()(SwsContext* context) const { sws_freeContext(context); }
  };
  Layout layout_;
  std::unique_ptr<SwsContext, Free> context_;
};

}  // namespace tessera::media
