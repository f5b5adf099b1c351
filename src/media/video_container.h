// A clip's container in memory, through libavformat: packets of its one video stream, and seeking among them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include "media/decoders.h"

namespace tessera::media {

struct FreeFormat {
  void operator()(AVFormatContext* format) const { avformat_close_input(&format); }
};
struct FreeIo {
  void operator()(AVIOContext* io) const;
};
struct FreePacket {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
};
struct FreeFrame {
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
};
using Packet = std::unique_ptr<AVPacket, FreePacket>;
using Frame = std::unique_ptr<AVFrame, FreeFrame>;

/// libav's words for a status.
std::string av_words(int status);

/// Reads from memory alone: what a hostile file refers to outside itself is never opened.
class VideoContainer {
 public:
  VideoContainer(std::string_view bytes, std::string source);
  VideoContainer(const VideoContainer&) = delete;
  VideoContainer& operator=(const VideoContainer&) = delete;

  const AVStream& stream() const { return *stream_; }
  /// How the stored frames must be turned to stand upright, as an Exif orientation.
  int orientation() const;
  /// The stream's next packet; false at the end. Throws UserError for damage.
  bool next(AVPacket& packet);
  /// False for packets that are only referred to, or that an edit list cuts away.
  bool is_shown(const AVPacket& packet) const;
  /// Tries to move to a key frame at these times or before them; false when libavformat cannot. Where it moved to is
  /// known only by what is read next.
  bool seek(int64_t pts, int64_t dts);
  /// Begins again with the first packet.
  void rewind();

 private:
  void open();

  struct Memory {
    std::string_view bytes;
    size_t at = 0;
  };
  static int read_memory(void* memory, uint8_t* to, int size);
  static int64_t seek_memory(void* memory, int64_t offset, int whence);

  std::string source_;
  Memory memory_;
  Content content_;
  std::unique_ptr<AVIOContext, FreeIo> io_;
  std::unique_ptr<AVFormatContext, FreeFormat> format_;
  AVStream* stream_ = nullptr;
};

}  // namespace tessera::media
