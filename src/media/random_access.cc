// Readers of the first bits of coded pictures. Every length in them is untrusted; bits beyond the end read as zero.
#include "media/random_access.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

namespace tessera::media {

namespace {
using Bytes = std::string_view;

int byte_at(Bytes bytes, size_t at) { return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0; }

/// Bits of a header, most significant first; the emulation prevention bytes of H.264 and HEVC are passed over.
class Bits {
 public:
  explicit Bits(Bytes bytes) : bytes_(bytes) {}
  unsigned bit() {
    if (at_ % 8 == 0 && at_ >= 16) {
      const size_t byte = at_ / 8;
      if (byte_at(bytes_, byte) == 3 && byte_at(bytes_, byte - 1) == 0 && byte_at(bytes_, byte - 2) == 0) at_ += 8;
    }
    const unsigned value = static_cast<unsigned>(byte_at(bytes_, at_ / 8)) >> (7 - at_ % 8) & 1;
    ++at_;
    return value;
  }
  /// Exp-Golomb, 9.1; at most 31 leading zeros.
  uint32_t number() {
    int zeros = 0;
    while (zeros < 31 && bit() == 0) ++zeros;
    uint32_t value = 1;
    for (int i = 0; i < zeros; ++i) value = value << 1 | bit();
    return value - 1;
  }

 private:
  Bytes bytes_;
  size_t at_ = 0;
};

/// Shows the units of an access unit to `see` until it returns false. They are prefixed by lengths where the codec's
/// own header says so (ISO 14496-15, 5.3.3), else by start codes.
template <class See> void for_each_unit(Bytes data, size_t prefix, const See& see) {
  if (prefix > 0) {
    while (data.size() > prefix) {
      size_t length = 0;
      for (size_t i = 0; i < prefix; ++i) length = length << 8 | static_cast<size_t>(byte_at(data, i));
      data.remove_prefix(prefix);
      length = std::min(length, data.size());
      if (length > 0 && !see(data.substr(0, length))) return;
      data.remove_prefix(length);
    }
    return;
  }
  constexpr Bytes start("\0\0\1", 3);
  for (size_t at = data.find(start); at != Bytes::npos;) {
    const size_t begin = at + start.size();
    at = data.find(start, begin);
    const Bytes unit = data.substr(begin, at == Bytes::npos ? Bytes::npos : at - begin);
    if (!unit.empty() && !see(unit)) return;
  }
}

/// Bytes of a unit's length; 0 where units have start codes. The header of H.264 holds it in byte 4, that of HEVC in 21.
size_t length_prefix(const AVCodecParameters& codec, int at) {
  if (codec.extradata_size <= at || codec.extradata[0] != 1) return 0;
  return static_cast<size_t>(codec.extradata[at] & 3) + 1;
}

/// A unit without the bytes that keep start codes out of it (7.4.1.1); of long units the beginning.
std::string without_emulation_prevention(Bytes unit) {
  constexpr size_t most = 4096;
  std::string plain;
  for (size_t at = 0; at < std::min(unit.size(), most); ++at) {
    const bool prevents = unit[at] == 3 && plain.ends_with(Bytes("\0\0", 2));
    if (!prevents) plain += unit[at];
  }
  return plain;
}

/// True when a message of recovery point (D.2.7) says that this very picture and all that are shown after it are exact.
bool recovers_at_once(Bytes unit) {
  const std::string plain = without_emulation_prevention(unit);
  const Bytes message = plain;
  size_t at = 1;
  while (at + 2 < message.size()) {
    int type = 0, size = 0;
    for (; byte_at(message, at) == 255 && at < message.size(); ++at) type += 255;
    type += byte_at(message, at++);
    for (; byte_at(message, at) == 255 && at < message.size(); ++at) size += 255;
    size += byte_at(message, at++);
    if (type == 6) {
      Bits bits(message.substr(std::min(at, message.size())));
      const bool at_once = bits.number() == 0;
      return at_once && bits.bit() == 1;
    }
    at += static_cast<size_t>(size);
  }
  return false;
}

RandomAccess h264_access(Bytes data, size_t prefix) {
  bool recovery = false;
  RandomAccess access = RandomAccess::none;
  for_each_unit(data, prefix, [&](Bytes unit) {
    const int type = unit[0] & 0x1F;
    if (type == 6) recovery = recovery || recovers_at_once(unit);
    if (type == 5) access = RandomAccess::closed;
    if (type != 1) return type != 5;
    Bits slice(unit.substr(1));
    slice.number();  // first macroblock
    const uint32_t kind = slice.number() % 5;
    access = recovery && (kind == 2 || kind == 4) ? RandomAccess::open : RandomAccess::none;
    return access == RandomAccess::open;  // every slice has to be intra
  });
  return access;
}

RandomAccess hevc_access(Bytes data, size_t prefix) {
  RandomAccess access = RandomAccess::none;
  for_each_unit(data, prefix, [&](Bytes unit) {
    const int type = unit[0] >> 1 & 0x3F;
    if (type >= 32) return true;  // parameters and messages
    if (type == 19 || type == 20) access = RandomAccess::closed;
    else if (type >= 16 && type <= 21) access = RandomAccess::open;
    return false;
  });
  return access;
}

RandomAccess vp9_access(Bytes data) {
  Bits bits(data);
  bits.bit();
  bits.bit();
  const unsigned low = bits.bit(), high = bits.bit();
  if (low == 1 && high == 1) bits.bit();  // profile 3
  const bool existing = bits.bit() == 1, inter = bits.bit() == 1;
  return existing || inter ? RandomAccess::none : RandomAccess::closed;
}

/// A temporal unit (AV1, 5.3 to 5.9) that holds a sequence header and begins with a key frame that is shown.
RandomAccess av1_access(Bytes data) {
  bool sequence = false, still = false;
  while (!data.empty()) {
    const int header = byte_at(data, 0), type = header >> 3 & 15;
    data.remove_prefix(std::min<size_t>((header & 4) != 0 ? 2 : 1, data.size()));
    size_t size = data.size();
    if ((header & 2) != 0) {
      size = 0;
      int more = 0x80;
      for (int i = 0; i < 8 && more != 0 && !data.empty(); ++i) {
        more = byte_at(data, 0) & 0x80;
        size |= static_cast<size_t>(byte_at(data, 0) & 0x7F) << (7 * i);
        data.remove_prefix(1);
      }
      size = std::min(size, data.size());
    }
    if (type == 1) {
      sequence = true;
      still = (byte_at(data, 0) & 0x08) != 0;  // a picture alone has a shorter frame header
    } else if (type == 3 || type == 6) {
      const bool key = still || (byte_at(data, 0) & 0xF0) == 0x10;  // no existing frame, a key frame, shown
      return sequence && key ? RandomAccess::closed : RandomAccess::none;
    }
    data.remove_prefix(size);
  }
  return RandomAccess::none;
}

/// MPEG-1 and -2: pictures have the code 0 and 10 bits before their type. MPEG-4: the code B6 and then the type.
RandomAccess mpeg_access(Bytes data, bool is_mpeg4) {
  RandomAccess access = RandomAccess::none;
  for_each_unit(data, 0, [&](Bytes unit) {
    if (byte_at(unit, 0) != (is_mpeg4 ? 0xB6 : 0)) return true;
    const int type = is_mpeg4 ? byte_at(unit, 1) >> 6 : (byte_at(unit, 2) >> 3 & 7) - 1;
    if (type == 0) access = RandomAccess::open;
    return false;
  });
  return access;
}
/// A picture header of H.263 (5.1), with the longer type of its second version.
RandomAccess h263_access(Bytes data) {
  uint64_t bits = 0;
  for (size_t i = 0; i < 8; ++i) bits = bits << 8 | static_cast<unsigned>(byte_at(data, i));
  const auto field = [&](int first, int count) { return bits << first >> (64 - count); };
  constexpr int format = 35, extended = 38;  // behind the start code, the time and five bits of the type
  if (field(0, 22) != 0x20) return RandomAccess::none;
  bool intra = field(extended, 1) == 0;
  if (field(format, 3) == 7)
    intra = field(extended, 3) == 1 ? field(extended + 3 + 18, 3) == 0 : field(extended + 3, 3) == 0;
  return intra ? RandomAccess::closed : RandomAccess::none;
}
}  // namespace

RandomAccess random_access(const AVCodecParameters& codec, const AVPacket& packet) {
  const Bytes data(reinterpret_cast<const char*>(packet.data), static_cast<size_t>(std::max(packet.size, 0)));
  const bool marked = (packet.flags & AV_PKT_FLAG_KEY) != 0;
  switch (codec.codec_id) {
    case AV_CODEC_ID_H264:
      return h264_access(data, length_prefix(codec, 4));
    case AV_CODEC_ID_HEVC:
      return hevc_access(data, length_prefix(codec, 21));
    case AV_CODEC_ID_VP8:
      return (byte_at(data, 0) & 1) == 0 && !data.empty() ? RandomAccess::closed : RandomAccess::none;
    case AV_CODEC_ID_VP9:
      return vp9_access(data);
    case AV_CODEC_ID_AV1:
      return av1_access(data);
    case AV_CODEC_ID_MPEG4:
    case AV_CODEC_ID_MPEG1VIDEO:
    case AV_CODEC_ID_MPEG2VIDEO:
      return mpeg_access(data, codec.codec_id == AV_CODEC_ID_MPEG4);
    case AV_CODEC_ID_H263:
      return h263_access(data);
    case AV_CODEC_ID_MJPEG:
    case AV_CODEC_ID_PRORES:
      return RandomAccess::closed;
    default:
      return marked ? RandomAccess::closed : RandomAccess::none;
  }
}

bool is_only_referred_to(AVCodecID codec, const AVPacket& packet) {
  if (packet.size < 1) return false;
  const int first = packet.data[0], last = packet.data[packet.size - 1];
  if (codec == AV_CODEC_ID_VP8) return (first & 0x10) == 0;
  // a VP9 superframe ends with an index and holds a shown frame
  if (codec != AV_CODEC_ID_VP9 || (last & 0xE0) == 0xC0 || (first & 0xC0) != 0x80) return false;
  const bool reserved = (first & 0x30) == 0x30;  // profile 3 has one more bit
  const int flags = reserved ? first << 1 : first;
  return (flags & 0x08) == 0 && (flags & 0x02) == 0;
}

}  // namespace tessera::media
