// Frames by number: one pass over the packets numbers them, then each is decoded from the key frame before it.
#include "media/video.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/error.h"
#include "media/decoders.h"
#include "media/video_container.h"
#include "media/video_pixels.h"

namespace tessera::media {

namespace {
/// Codecs of the files that Tessera reads; libav has hundreds more, which a hostile file could choose.
constexpr AVCodecID kCodecs[] = {AV_CODEC_ID_H264,       AV_CODEC_ID_HEVC,  AV_CODEC_ID_VP8,    AV_CODEC_ID_VP9,
                                 AV_CODEC_ID_AV1,        AV_CODEC_ID_MPEG4, AV_CODEC_ID_H263,   AV_CODEC_ID_MPEG2VIDEO,
                                 AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MJPEG, AV_CODEC_ID_PRORES, AV_CODEC_ID_FFV1};

/// Damage is an error, not a guess. From a key frame that is not closed, commands about pictures that were never seen
/// are no damage; there the decoder's own marks on frames that it had to guess decide.
constexpr int kStrict = AV_EF_EXPLODE | AV_EF_CRCCHECK, kOpenStart = AV_EF_CRCCHECK;

struct StoredFrame {
  int64_t pts = 0, dts = 0;
  bool key = false, closed = false;
};

struct FreeCodec {
  void operator()(AVCodecContext* codec) const { avcodec_free_context(&codec); }
};
using Codec = std::unique_ptr<AVCodecContext, FreeCodec>;

Codec open_codec(const AVStream& stream, const std::string& source) {
  const AVCodecID id = stream.codecpar->codec_id;
  const AVCodec* decoder =
      std::find(std::begin(kCodecs), std::end(kCodecs), id) == std::end(kCodecs) ? nullptr : avcodec_find_decoder(id);
  if (decoder == nullptr) {
    throw UserError("[media] {} is coded as {}, which is not read; want H.264, HEVC, VP8, VP9, AV1 or MPEG-4", source,
                    avcodec_get_name(id));
  }
  Codec codec(avcodec_alloc_context3(decoder));
  if (!codec || avcodec_parameters_to_context(codec.get(), stream.codecpar) < 0) {
    throw FaultError("[media] libav does not start: out of memory");
  }
  codec->err_recognition = kStrict;
  codec->max_pixels = max_pixels;
  codec->thread_count = 1;
  codec->pkt_timebase = stream.time_base;
  if (const int status = avcodec_open2(codec.get(), decoder, nullptr); status < 0) {
    throw UserError("[media] {} is a damaged clip: {}", source, av_words(status));
  }
  return codec;
}

/// Every frame of the container in the order of showing.
std::vector<StoredFrame> number_frames(VideoContainer& container, const std::string& source) {
  std::vector<StoredFrame> frames;
  const Packet packet(av_packet_alloc());
  while (container.next(*packet)) {
    if (!container.is_shown(*packet)) continue;
    const int64_t pts = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
    if (pts == AV_NOPTS_VALUE) throw UserError("[media] {} is a damaged clip: a frame has no time", source);
    if (static_cast<int64_t>(frames.size()) == max_stored_frames) {
      throw UserError("[media] {} holds too many frames; want at most {}", source, max_stored_frames);
    }
    frames.push_back({pts, packet->dts, (packet->flags & AV_PKT_FLAG_KEY) != 0, container.is_closed(*packet)});
  }
  if (frames.empty()) throw UserError("[media] {} is a clip without a frame", source);
  std::stable_sort(frames.begin(), frames.end(), [](const auto& a, const auto& b) { return a.pts < b.pts; });
  return frames;
}
}  // namespace

struct Video::State {
  std::string source;
  VideoContainer container;
  Codec codec;
  std::vector<StoredFrame> frames;
  std::vector<int64_t> keys;  // numbers of the frames that decoding can start at
  int orientation;
  PixelConverter converter;
  Packet packet{av_packet_alloc()};
  Frame frame{av_frame_alloc()};
  int64_t last_key = -1;     // number of the key frame that decoding started at; -1: it has not
  int64_t last_number = -1;  // number of the last frame decoded
  bool drained = false;
  int64_t decoded = 0;

  State(std::string_view bytes, std::string name)
      : source(std::move(name)), container(bytes, source), codec(open_codec(container.stream(), source)),
        frames(number_frames(container, source)), orientation(container.orientation()) {
    const AVCodecParameters& shape = *container.stream().codecpar;
    check_picture_size(shape.width, shape.height, source);
    for (size_t i = 0; i < frames.size(); ++i) {
      if (frames[i].key) keys.push_back(static_cast<int64_t>(i));
    }
    if (!packet || !frame) throw FaultError("[media] libav does not start: out of memory");
  }

  /// Where decoding can start to reach frame `number`, as an index into `keys`; -1 when nowhere.
  int64_t key_before(int64_t number) const {
    return std::upper_bound(keys.begin(), keys.end(), number) - keys.begin() - 1;
  }

  void start_at(int64_t key) {
    last_key = key;
    last_number = key - 1;
    drained = false;
    avcodec_flush_buffers(codec.get());
    codec->err_recognition = frames[key].closed ? kStrict : kOpenStart;
    container.seek(frames[key].pts, frames[key].dts);
  }

  /// Gives the decoder the next packet, or the news that there is none. Packets shown before the key frame are passed
  /// over: they lean on what is not decoded.
  int feed() {
    while (container.next(*packet)) {
      const int64_t pts = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
      if (pts == AV_NOPTS_VALUE || pts >= frames[last_key].pts) return avcodec_send_packet(codec.get(), packet.get());
    }
    if (drained) return AVERROR_EOF;
    drained = true;
    return avcodec_send_packet(codec.get(), nullptr);
  }

  /// Decodes the next frame into `frame`. A status below 0 means that it cannot be decoded.
  int decode_next() {
    for (;;) {
      const int status = avcodec_receive_frame(codec.get(), frame.get());
      if (status == AVERROR(EAGAIN)) {
        if (const int fed = feed(); fed < 0) return fed;
        continue;
      }
      if (status < 0) return status;
      ++decoded;
      const bool damaged = (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame->decode_error_flags != 0;
      return damaged ? AVERROR_INVALIDDATA : 0;
    }
  }

  /// Decodes on to frame `number`, whose key frame has been started from.
  int decode_to(int64_t number) {
    for (;;) {
      if (const int status = decode_next(); status < 0) return status;
      const int64_t pts = frame->pts != AV_NOPTS_VALUE ? frame->pts : frame->best_effort_timestamp;
      if (pts == frames[number].pts) break;
      if (pts > frames[number].pts) return AVERROR_INVALIDDATA;
    }
    last_number = number;
    return 0;
  }

  /// Leaves frame `number` in `frame`: continues from the last one where no key frame is between, else seeks.
  void decode(int64_t number) {
    const int64_t key = key_before(number);
    int status = AVERROR_INVALIDDATA;
    if (key >= 0 && last_key >= 0 && keys[key] <= last_number && last_number < number) {
      status = decode_to(number);
    } else if (key >= 0) {
      start_at(keys[key]);
      status = decode_to(number);
    }
    if (status == 0) return;
    last_key = -1;
    const bool ends = status == AVERROR_EOF;
    throw UserError("[media] {}: frame {} of {} cannot be decoded: {}", source, number, frames.size(),
                    ends ? "the data ends before it" : av_words(status));
  }
};

Video::Video(std::string_view bytes, std::string source) : state_(std::make_unique<State>(bytes, std::move(source))) {}
Video::~Video() = default;
Video::Video(Video&&) noexcept = default;
Video& Video::operator=(Video&&) noexcept = default;

int64_t Video::frames() const { return static_cast<int64_t>(state_->frames.size()); }
int64_t Video::width() const {
  const AVCodecParameters& shape = *state_->container.stream().codecpar;
  return state_->orientation >= 5 ? shape.height : shape.width;
}
int64_t Video::height() const {
  const AVCodecParameters& shape = *state_->container.stream().codecpar;
  return state_->orientation >= 5 ? shape.width : shape.height;
}
int64_t Video::decoded() const { return state_->decoded; }

std::vector<Image> Video::read(const std::vector<int64_t>& indexes) {
  std::vector<Image> pictures(indexes.size());
  std::multimap<int64_t, size_t> wanted;  // frame to its indices in the answer, so that frames are decoded in order
  for (size_t i = 0; i < indexes.size(); ++i) wanted.emplace(indexes[i], i);
  int64_t done = -1;
  size_t first = 0;
  for (const auto& [number, index] : wanted) {
    if (number < 0 || number >= frames()) {
      throw UserError("[media] {} has no frame {}; want 0 to {}", state_->source, number, frames() - 1);
    }
    if (number == done) {
      pictures[index] = pictures[first];
      continue;
    }
    state_->decode(number);
    check_picture_size(state_->frame->width, state_->frame->height, state_->source);
    pictures[index] = oriented(state_->converter.rgb(*state_->frame), state_->orientation);
    done = number;
    first = index;
  }
  return pictures;
}

}  // namespace tessera::media
