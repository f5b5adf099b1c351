// Where decoding of a coded clip may start, told from the bytes of a packet: what a container says of its key frames is
// often wrong, so that it only helps to find them.
#pragma once

#include <string_view>

extern "C" {
#include <libavcodec/avcodec.h>
}

namespace tessera::media {

/// What a decoder that starts at a packet can show.
enum class RandomAccess {
  none,  // frames that lean on earlier ones
  open,  // the frame and all that are shown after it; frames that follow in the file but are shown before it lean on earlier ones
  closed,  // everything that follows
};

/// How far decoding can start at `packet`. H.264 (ISO 14496-10): a picture of kind IDR is closed; one with a recovery
/// point that is reached at once and exactly is open; any other is none, such as the first picture of an intra refresh.
/// HEVC (ISO 23008-2, 7.4.2.2): IDR closed, CRA and BLA open. VP8, VP9 and AV1: key frames, closed. MPEG-4, MPEG-1 and -2:
/// intra pictures, open. H.263: intra pictures, closed. Motion JPEG and ProRes: every picture. FFV1: by the container's mark.
RandomAccess random_access(const AVCodecParameters& codec, const AVPacket& packet);

/// True for packets of VP8 and VP9 that are only referred to, never shown (RFC 6386, 9.1; VP9 bitstream 6.2).
bool is_only_referred_to(AVCodecID codec, const AVPacket& packet);

}  // namespace tessera::media
