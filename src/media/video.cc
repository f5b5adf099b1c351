// Frames by number: one pass over the packets numbers them, then each is decoded from the nearest packet before it that
// decoding can start at. The decoder is given packets' places as their times, so that a frame always tells which packet it was.
#include "media/video.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/error.h"
#include "media/decoders.h"
#include "media/video_container.h"
#include "media/video_index.h"
#include "media/video_pixels.h"

namespace tessera::media {

namespace {
/// Codecs of the files that Tessera reads; libav has hundreds more, which a hostile file could choose.
constexpr AVCodecID kCodecs[] = {AV_CODEC_ID_H264,       AV_CODEC_ID_HEVC,  AV_CODEC_ID_VP8,    AV_CODEC_ID_VP9,
                                 AV_CODEC_ID_AV1,        AV_CODEC_ID_MPEG4, AV_CODEC_ID_H263,   AV_CODEC_ID_MPEG2VIDEO,
                                 AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MJPEG, AV_CODEC_ID_PRORES, AV_CODEC_ID_FFV1};

/// Damage is an error, not a guess. Where decoding starts in an open group, H.264's commands about pictures that were
/// never seen are no damage; there the decoder's own marks on frames that it had to guess decide.
constexpr int kStrict = AV_EF_EXPLODE | AV_EF_CRCCHECK, kOpenStart = AV_EF_CRCCHECK;

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

}  // namespace

struct Video::State {
  std::string source;
  VideoContainer container;
  Codec codec;
  VideoIndex index;
  int orientation;
  PixelConverter converter;
  Packet packet{av_packet_alloc()};
  Frame frame{av_frame_alloc()};
  int64_t next;              // place of the packet that the container gives next
  bool held = false;         // `packet` is the one at next - 1 and has not been decoded
  int64_t start = -1;        // the packet that decoding started at; -1: it has not
  int64_t fed = -1;          // the last packet that the decoder was given
  int64_t last_number = -1;  // the last frame that was asked for since
  bool shown = false;        // the decoder has given a frame since
  bool drained = false;
  int64_t decoded = 0;

  State(std::string_view bytes, std::string name)
      : source(std::move(name)), container(bytes, source), codec(open_codec(container.stream(), source)),
        index(container, source), orientation(container.orientation()), next(index.packets()) {
    const AVCodecParameters& shape = *container.stream().codecpar;
    check_picture_size(shape.width, shape.height, source);
    if (!packet || !frame) throw FaultError("[media] libav does not start: out of memory");
    const bool reorders = container.stream().codecpar->video_delay > 0;
    if (index.is_unsure() || (reorders && index.is_in_decoding_order())) decode_beginning();
  }

  bool starts_closed() const { return index.packet(0).access == RandomAccess::closed; }

  /// Reads the next packet into `packet`; false at the end. Its place is then next - 1.
  bool read() {
    if (std::exchange(held, false)) return true;
    if (!container.next(*packet)) return false;
    if (next++ < index.packets()) return true;
    throw UserError("[media] {} is a damaged clip: it holds more packets when read again", source);
  }

  /// Moves to the packet at `place`, so that it is read next.
  void move_to(int64_t place) {
    constexpr int64_t near = 64;
    held = false;
    if (next > place || place - next > near) {
      const StoredPacket& wanted = index.packet(place);
      if (!container.seek(wanted.pts, wanted.dts) || !found_place(place)) {
        container.rewind();
        next = 0;
      }
    }
    while (next - held < place && read()) {
    }
    if (next - held != place) throw UserError("[media] {} is a damaged clip: it cannot be read again", source);
  }

  /// Reads a packet after seeking, and looks up which it is; false when it is not one up to `place`.
  bool found_place(int64_t place) {
    if (!container.next(*packet)) return false;
    const int64_t pts = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
    for (int64_t at = place; at >= 0; --at) {
      if (index.packet(at).pos != packet->pos || index.packet(at).pts != pts) continue;
      next = at + 1;
      held = true;
      return true;
    }
    return false;
  }

  void start_at(int64_t place) {
    move_to(place);
    start = place;
    fed = last_number = -1;
    shown = drained = false;
    avcodec_flush_buffers(codec.get());
    const bool unseen = codec->codec_id == AV_CODEC_ID_H264 || place == 0;
    codec->err_recognition = unseen && index.packet(place).access != RandomAccess::closed ? kOpenStart : kStrict;
  }

  /// Until a file that begins in an open group has given its first frame, what cannot be decoded leans on what was cut
  /// away with the part before.
  bool is_tolerated(int status) const {
    return status == AVERROR_INVALIDDATA && start == 0 && !shown && !starts_closed();
  }

  /// Gives the decoder the next packet, or the news that there is none.
  int feed() {
    while (read()) {
      const int64_t place = next - 1;
      if (index.is_leading(start, place)) continue;
      fed = place;
      packet->pts = packet->dts = place;
      packet->flags &= ~AV_PKT_FLAG_DISCARD;
      return avcodec_send_packet(codec.get(), packet.get());
    }
    if (drained) return AVERROR_EOF;
    drained = true;
    return avcodec_send_packet(codec.get(), nullptr);
  }

  /// Decodes the next frame into `frame`, whose pts is then its packet. A status below 0 means that it cannot be decoded.
  int decode_next() {
    for (;;) {
      int status = avcodec_receive_frame(codec.get(), frame.get());
      if (status == AVERROR(EAGAIN)) {
        status = feed();
        if (status >= 0 || is_tolerated(status)) continue;
      }
      if (status < 0) return status;
      ++decoded;
      const bool damaged = (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame->decode_error_flags != 0;
      if (frame->pts < 0 || frame->pts > fed || damaged) status = AVERROR_INVALIDDATA;
      if (is_tolerated(status)) continue;
      shown = true;
      return status;
    }
  }

  /// Decodes on to frame `number`, from where decoding has started.
  int decode_to(int64_t number) {
    for (;;) {
      if (const int status = decode_next(); status < 0) return status;
      const int64_t got = index.packet(frame->pts).frame;
      if (got > number) return AVERROR_INVALIDDATA;
      if (got == number) break;
    }
    last_number = number;
    return 0;
  }

  /// Leaves frame `number` in `frame`: continues from the last one where decoding could not start later, else seeks. A
  /// decoder may give less from an open group than the file promises; what comes before the group helps.
  void decode(int64_t number) {
    const int64_t nearest = index.start_of(number);
    const bool goes_on = start >= 0 && nearest >= start && nearest <= fed && number > last_number;
    if (!goes_on) start_at(nearest);
    int status = decode_to(number);
    for (int64_t from = start; status < 0 && from > 0 && index.packet(from).access != RandomAccess::closed;) {
      from = from == nearest ? index.start_before(from) : 0;
      start_at(from);
      status = decode_to(number);
    }
    if (status == 0) return;
    start = -1;
    const bool ends = status == AVERROR_EOF;
    throw UserError("[media] {}: frame {} of {} cannot be decoded: {}", source, number, index.frames(),
                    ends ? "the data ends before it" : av_words(status));
  }

  /// Decodes from the start and adds packets to `seen` in the order of their frames, until packet `end` has been shown.
  /// Returns `end`, or the packet that could not be decoded.
  int64_t see_until(int64_t end, std::vector<int64_t>& seen) {
    while (seen.empty() || seen.back() < end || index.packet(seen.back()).pts < index.packet(end).pts) {
      const int status = decode_next();
      if (status == AVERROR_EOF) return end;
      if (status < 0) return std::min(end, fed);
      seen.push_back(frame->pts);
    }
    return end;
  }

  /// A file cut out of another may begin with frames that lean on what is missing. They are not shown, and so not
  /// numbered: what the decoder gives of the first two groups decides. Where times are those of decoding, only decoding
  /// everything tells the order.
  void decode_beginning() {
    std::vector<int64_t> seen;
    start_at(0);
    int64_t end = see_until(index.start_after(index.start_after(0)), seen);
    if (index.is_in_decoding_order() && !std::is_sorted(seen.begin(), seen.end())) {
      end = see_until(index.packets(), seen);
    }
    start = -1;
    index.number_beginning(end, seen);
    if (index.frames() == 0) throw UserError("[media] {} is a clip without a frame that can be decoded", source);
  }
};

Video::Video(std::string_view bytes, std::string source) : state_(std::make_unique<State>(bytes, std::move(source))) {}
Video::~Video() = default;
Video::Video(Video&&) noexcept = default;
Video& Video::operator=(Video&&) noexcept = default;

int64_t Video::frames() const { return state_->index.frames(); }
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
