// libswscale uses full chroma and exact rounding. It may write past the end of a row, so rows are padded.
#include "media/video_pixels.h"

#include <algorithm>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}

#include "core/error.h"

namespace tessera::media {

namespace {
struct FreeAvFrame {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};

/// The old formats "yuvj..." are the plain ones with full range.
AVPixelFormat plain_format(int format, bool& full_range) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      full_range = true;
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      full_range = true;
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      full_range = true;
      return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
      full_range = true;
      return AV_PIX_FMT_YUV440P;
    default:
      return static_cast<AVPixelFormat>(format);
  }
}
}  // namespace

SwsContext* PixelConverter::make_context(const Layout& layout) {
  SwsContext* context = sws_alloc_context();
  if (context == nullptr) return nullptr;
  constexpr int flags = SWS_BICUBIC | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP | SWS_ACCURATE_RND | SWS_BITEXACT;
  const auto set = [&](const char* name, int64_t value) { av_opt_set_int(context, name, value, 0); };
  set("srcw", layout.width);
  set("srch", layout.height);
  set("src_format", layout.format);
  set("dstw", layout.width);
  set("dsth", layout.height);
  set("dst_format", AV_PIX_FMT_RGB24);
  set("sws_flags", flags);
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(layout.format);
  if (description != nullptr && description->log2_chroma_w == 1 && description->log2_chroma_h == 1) {
    int x = 0, y = 0;  // in 1/256 of a luma sample
    // where the file does not give the chroma position, libswscale's default holds
    if (avcodec_enum_to_chroma_pos(&x, &y, layout.chroma) >= 0) {
      set("src_h_chr_pos", x);
      set("src_v_chr_pos", y);
    }
  }
  const int* matrix = sws_getCoefficients(layout.matrix);  // unknown ones give BT.601
  sws_setColorspaceDetails(context, matrix, layout.full_range ? 1 : 0, matrix, 1, 0, 1 << 16, 1 << 16);
  if (sws_init_context(context, nullptr, nullptr) < 0) {
    sws_freeContext(context);
    return nullptr;
  }
  return context;
}

Image PixelConverter::rgb(const AVFrame& frame) {
  bool full_range = frame.color_range == AVCOL_RANGE_JPEG;
  const AVPixelFormat format = plain_format(frame.format, full_range);
  const Layout layout{frame.width, frame.height, format, frame.colorspace, full_range, frame.chroma_location};
  if (!context_ || !(layout == layout_)) {
    context_.reset(make_context(layout));
    layout_ = layout;
  }
  const std::unique_ptr<AVFrame, FreeAvFrame> to(av_frame_alloc());
  if (!context_ || !to) throw FaultError("[media] libswscale cannot convert {}", av_get_pix_fmt_name(format));
  to->format = AV_PIX_FMT_RGB24;
  to->width = frame.width;
  to->height = frame.height;
  if (av_frame_get_buffer(to.get(), 64) < 0) throw FaultError("[media] out of memory for a frame");
  if (sws_scale(context_.get(), frame.data, frame.linesize, 0, frame.height, to->data, to->linesize) != frame.height) {
    throw FaultError("[media] libswscale cannot convert {}", av_get_pix_fmt_name(format));
  }
  Image picture(frame.width, frame.height, 3);
  for (int64_t y = 0; y < picture.height; ++y) {
    std::copy_n(to->data[0] + y * to->linesize[0], picture.width * 3, picture.at(0, y));
  }
  return picture;
}

}  // namespace tessera::media
