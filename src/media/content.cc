// Signatures of file kinds, and the two walks over boxes that recognise a truncated clip.
#include "media/decoders.h"

#include <algorithm>
#include <array>

#include "core/error.h"

namespace tessera::media {

namespace {
using namespace std::string_view_literals;

struct Signature {
  size_t at;
  std::string_view bytes;
  std::string_view words;
  bool clip = false;
};

constexpr std::array kSignatures{
    Signature{0, "BM"sv, "a BMP picture"},
    Signature{0, "II*\0"sv, "a TIFF picture"},
    Signature{0, "MM\0*"sv, "a TIFF picture"},
    Signature{4, "ftypavi"sv, "an AVIF picture"},
    Signature{4, "ftyphei"sv, "a HEIC picture"},
    Signature{4, "ftyphev"sv, "a HEIC picture"},
    Signature{4, "ftypmif1"sv, "a HEIF picture"},
    Signature{0, "\0\0\0\x0CjP  "sv, "a JPEG 2000 picture"},
    Signature{0, "\xFF\x0A"sv, "a JPEG XL picture"},
    Signature{0, "\0\0\0\x0CJXL "sv, "a JPEG XL picture"},
    Signature{0, "8BPS"sv, "a Photoshop file"},
    Signature{0, "%PDF"sv, "a PDF"},
    Signature{0, "PK\x03\x04"sv, "a ZIP archive"},
    Signature{0, "\x1F\x8B"sv, "a gzip archive"},
    Signature{0,
              "\x7F"
              "ELF"sv,
              "a program"},
    Signature{0, "ID3"sv, "an MP3"},
    Signature{0, "OggS"sv, "an Ogg file"},
    Signature{8, "AVI "sv, "an AVI clip", true},
    Signature{0, "FLV\x01"sv, "a Flash clip", true},
    Signature{0, "\x30\x26\xB2\x75\x8E\x66\xCF\x11"sv, "a Windows Media clip", true},
    Signature{0, "\0\0\x01\xBA"sv, "an MPEG program stream", true},
    Signature{0, "\0\0\x01\xB3"sv, "an MPEG video stream", true},
    Signature{0, "\x06\x0E\x2B\x34"sv, "an MXF clip", true},
    Signature{0, ".RMF"sv, "a RealMedia clip", true},
    Signature{8, "WAVE"sv, "a WAV sound"},
};

bool has(std::string_view bytes, size_t at, std::string_view what) {
  return bytes.size() >= at + what.size() && bytes.substr(at, what.size()) == what;
}

/// Packets of 188 bytes that begin with "G", with a time of four bytes before each where a camera wrote them.
bool is_transport_stream(std::string_view bytes) {
  const auto repeats = [&](size_t at, size_t step) {
    for (int i = 0; i < 4; ++i, at += step) {
      if (!has(bytes, at, "G")) return false;
    }
    return true;
  };
  return repeats(0, 188) || repeats(4, 192);
}

const Signature* signature_of(std::string_view bytes) {
  static constexpr Signature transport_stream{0, "", "an MPEG transport stream", true};
  for (const Signature& each : kSignatures) {
    if (has(bytes, each.at, each.bytes)) return &each;
  }
  return is_transport_stream(bytes) ? &transport_stream : nullptr;
}

bool is_text(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= ' ' ? byte != 0x7F : byte == '\n' || byte == '\r' || byte == '\t' || byte == '\f';
  });
}

uint64_t big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

[[noreturn]] void cut_off(std::string_view source, uint64_t want, size_t got) {
  throw UserError("[media] {} is cut off; got {} bytes, want at least {}", source, got, want);
}

/// Boxes of ISO 14496-12: 32-bit size, type, optionally a 64-bit size; a size of 0 reaches to the end.
void check_boxes(std::string_view bytes, std::string_view source) {
  uint64_t at = 0;
  while (bytes.size() - at >= 8) {
    if (!is_text(bytes.substr(at + 4, 4))) return;  // bytes after the last box
    uint64_t size = big_endian(bytes.substr(at, 4));
    if (size == 1) size = bytes.size() - at >= 16 ? big_endian(bytes.substr(at + 8, 8)) : 16;
    if (size == 0) return;
    if (size < 8) throw UserError("[media] {} is a damaged MP4; got a box of {} bytes, want at least 8", source, size);
    if (size > bytes.size() - at) cut_off(source, at > UINT64_MAX - size ? UINT64_MAX : at + size, bytes.size());
    at += size;
  }
}

/// A variable-length size of Matroska (RFC 8794, section 4) at `at`, which moves past it; UINT64_MAX when unknown.
uint64_t element_size(std::string_view bytes, size_t& at) {
  const auto first = static_cast<unsigned char>(at < bytes.size() ? bytes[at] : 0);
  size_t length = 1;
  for (unsigned bit = 0x80; bit != 0 && (first & bit) == 0; bit >>= 1) ++length;
  if (length > 8 || bytes.size() - at < length) return UINT64_MAX;
  const uint64_t mask = (uint64_t{1} << (7 * length)) - 1, value = big_endian(bytes.substr(at, length)) & mask;
  at += length;
  return value == mask ? UINT64_MAX : value;
}

/// The header element, then one segment; a segment of unknown size is a live recording.
void check_segment(std::string_view bytes, std::string_view source) {
  size_t at = 4;
  const uint64_t header = element_size(bytes, at);
  if (header == UINT64_MAX || header > bytes.size() - at) cut_off(source, header, bytes.size());
  at += header;
  if (!has(bytes, at, "\x18\x53\x80\x67"sv)) return;
  at += 4;
  const uint64_t segment = element_size(bytes, at);
  if (segment != UINT64_MAX && segment > bytes.size() - at) cut_off(source, at + segment, bytes.size());
}
}  // namespace

Content content_of(std::string_view bytes) {
  if (bytes.starts_with("\x89PNG\r\n\x1a\n"sv)) return Content::png;
  if (bytes.starts_with("\xFF\xD8\xFF"sv)) return Content::jpeg;
  if (bytes.starts_with("RIFF"sv) && has(bytes, 8, "WEBP"sv)) return Content::webp;
  if (bytes.starts_with("GIF87a"sv) || bytes.starts_with("GIF89a"sv)) return Content::gif;
  if (bytes.starts_with("\x1A\x45\xDF\xA3"sv)) return Content::matroska;
  if (signature_of(bytes) != nullptr) return Content::other;
  for (const std::string_view box : {"ftyp"sv, "moov"sv, "mdat"sv, "wide"sv, "free"sv, "skip"sv}) {
    if (has(bytes, 4, box)) return Content::mp4;
  }
  return Content::other;
}

std::string_view content_words(std::string_view bytes) {
  if (bytes.empty()) return "empty";
  switch (content_of(bytes)) {
    case Content::png:
      return "a PNG";
    case Content::jpeg:
      return "a JPEG";
    case Content::webp:
      return "a WebP";
    case Content::gif:
      return "a GIF";
    case Content::mp4:
      return "an MP4 clip";
    case Content::matroska:
      return "a Matroska or WebM clip";
    case Content::other:
      break;
  }
  if (const Signature* signature = signature_of(bytes)) return signature->words;
  const std::string_view start = bytes.substr(0, 512);
  if (!is_text(start)) return "of an unknown kind";
  if (start.find("<svg") != std::string_view::npos) return "an SVG drawing";
  if (start.find("<html") != std::string_view::npos || start.find("<!DOCTYPE html") != std::string_view::npos) {
    return "an HTML page";
  }
  if (start.starts_with("version https://git-lfs")) return "a Git LFS pointer (fetch the file itself)";
  return "text";
}

bool is_unread_clip(std::string_view bytes) {
  const Signature* signature = content_of(bytes) == Content::other ? signature_of(bytes) : nullptr;
  return signature != nullptr && signature->clip;
}

void check_container(std::string_view bytes, Content content, std::string_view source) {
  if (content == Content::mp4) check_boxes(bytes, source);
  if (content == Content::matroska) check_segment(bytes, source);
}

}  // namespace tessera::media
