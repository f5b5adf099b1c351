// libavformat is given the format by name and a reader of memory, so that it neither guesses nor opens anything else.
#include "media/video_container.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "media/decoders.h"
#include "media/random_access.h"

namespace tessera::media {

namespace {
constexpr int kBuffer = 1 << 16;

int refuse_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) { return AVERROR(EPERM); }
}  // namespace

void FreeIo::operator()(AVIOContext* io) const {
  av_freep(&io->buffer);
  avio_context_free(&io);
}

std::string av_words(int status) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> words{};
  av_strerror(status, words.data(), words.size());
  return words.data();
}

int VideoContainer::read_memory(void* memory, uint8_t* to, int size) {
  auto& [bytes, at] = *static_cast<Memory*>(memory);
  const size_t count = std::min(bytes.size() - at, static_cast<size_t>(std::max(size, 0)));
  if (count == 0) return AVERROR_EOF;
  std::memcpy(to, bytes.data() + at, count);
  at += count;
  return static_cast<int>(count);
}

int64_t VideoContainer::seek_memory(void* memory, int64_t offset, int whence) {
  auto& [bytes, at] = *static_cast<Memory*>(memory);
  const auto size = static_cast<int64_t>(bytes.size());
  if ((whence & AVSEEK_SIZE) != 0) return size;
  whence &= ~AVSEEK_FORCE;
  if (whence == SEEK_CUR) offset += static_cast<int64_t>(at);
  if (whence == SEEK_END) offset += size;
  if (offset < 0 || offset > size) return AVERROR(EINVAL);
  at = static_cast<size_t>(offset);
  return offset;
}

VideoContainer::VideoContainer(std::string_view bytes, std::string source)
    : source_(std::move(source)), memory_{bytes}, content_(content_of(bytes)) {
  av_log_set_level(AV_LOG_QUIET);  // errors are reported by exceptions
  check_container(bytes, content_, source_);
  open();
}

void VideoContainer::open() {
  format_.reset();
  memory_.at = 0;
  io_.reset(avio_alloc_context(static_cast<unsigned char*>(av_malloc(kBuffer)), kBuffer, 0, &memory_, read_memory,
                               nullptr, seek_memory));
  AVFormatContext* format = avformat_alloc_context();
  if (io_ == nullptr || format == nullptr) throw FaultError("[media] libav does not start: out of memory");
  format->pb = io_.get();
  format->flags |= AVFMT_FLAG_CUSTOM_IO;
  format->io_open = refuse_open;
  const auto* kind = av_find_input_format(content_ == Content::matroska ? "matroska" : "mov");
  int status = avformat_open_input(&format, nullptr, kind, nullptr);  // frees the context when it fails
  if (status >= 0) {
    format_.reset(format);
    format_->fps_probe_size = 0;
    status = avformat_find_stream_info(format, nullptr);
  }
  if (status < 0) throw UserError("[media] {} is a damaged clip: {}", source_, av_words(status));
  const int best = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  if (best < 0 || (format->streams[best]->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0) {
    throw UserError("[media] {} holds no video, only sound or other streams", source_);
  }
  stream_ = format->streams[best];
  for (unsigned i = 0; i < format->nb_streams; ++i) {
    if (static_cast<int>(i) != best) format->streams[i]->discard = AVDISCARD_ALL;
  }
}

int VideoContainer::orientation() const {
  size_t size = 0;
  const uint8_t* data = av_stream_get_side_data(stream_, AV_PKT_DATA_DISPLAYMATRIX, &size);
  if (data == nullptr || size < 9 * sizeof(int32_t)) return 1;
  std::array<int32_t, 9> matrix{};
  std::memcpy(matrix.data(), data, sizeof matrix);
  const auto sign = [&](int at) { return static_cast<int>(std::lround(std::clamp(matrix[at] / 65536.0, -1.0, 1.0))); };
  // A stored point (x, y) is shown at (a x + c y, b x + d y), y downwards; ISO 14496-12, 8.2.2.
  const std::array<int, 4> turn{sign(0), sign(1), sign(3), sign(4)};
  constexpr std::array<std::array<int, 4>, 8> turns{{{1, 0, 0, 1},
                                                     {-1, 0, 0, 1},
                                                     {-1, 0, 0, -1},
                                                     {1, 0, 0, -1},
                                                     {0, 1, 1, 0},
                                                     {0, 1, -1, 0},
                                                     {0, -1, -1, 0},
                                                     {0, -1, 1, 0}}};
  const auto found = std::find(turns.begin(), turns.end(), turn);
  return found == turns.end() ? 1 : static_cast<int>(found - turns.begin()) + 1;
}

bool VideoContainer::next(AVPacket& packet) {
  for (;;) {
    av_packet_unref(&packet);
    const int status = av_read_frame(format_.get(), &packet);
    if (status == AVERROR_EOF) return false;
    if (status < 0) throw UserError("[media] {} is a damaged clip: {}", source_, av_words(status));
    if (packet.stream_index != stream_->index || packet.size == 0) continue;
    if ((packet.flags & AV_PKT_FLAG_CORRUPT) != 0) {
      throw UserError("[media] {} is a damaged clip: a frame's bytes are cut off", source_);
    }
    return true;
  }
}

bool VideoContainer::is_shown(const AVPacket& packet) const {
  return (packet.flags & AV_PKT_FLAG_DISCARD) == 0 && !is_only_referred_to(stream_->codecpar->codec_id, packet);
}

bool VideoContainer::seek(int64_t pts, int64_t dts) {
  // MP4 finds samples by decoding time, Matroska by presentation time.
  const int64_t time = content_ == Content::matroska || dts == AV_NOPTS_VALUE ? pts : dts;
  return av_seek_frame(format_.get(), stream_->index, time, AVSEEK_FLAG_BACKWARD) >= 0;
}

void VideoContainer::rewind() { open(); }

}  // namespace tessera::media
