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
  /// True for a key frame after which nothing leans on what came before it. H.264 has others ("open" groups), whose
  /// first commands name pictures that a decoder starting there never saw.
  bool is_closed(const AVPacket& packet) const;
  /// Moves to the packet of a key frame or before it.
  void seek(int64_t pts, int64_t dts);

 private:
  struct Memory {
    std::string_view bytes;
    size_t at = 0;
  };
  static int read_memory(void* memory, uint8_t* to, int size);
  static int64_t seek_memory(void* memory, int64_t offset, int whence);

  std::string source_;
  Memory memory_;
  std::unique_ptr<AVIOContext, FreeIo> io_;
  std::unique_ptr<AVFormatContext, FreeFormat> format_;
  AVStream* stream_ = nullptr;
};

}  // namespace tessera::media
