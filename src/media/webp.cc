// WebP by libwebp: still pictures, and animations through its own compositor.
#include <memory>
#include <string>
#include <utility>

#include <webp/decode.h>
#include <webp/demux.h>

#include "core/error.h"
#include "media/decoders.h"

namespace tessera::media {

namespace {
WebPData data_of(std::string_view bytes) { return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}; }

WebPBitstreamFeatures features_of(std::string_view bytes, std::string_view source) {
  WebPBitstreamFeatures features{};
  const WebPData data = data_of(bytes);
  if (WebPGetFeatures(data.bytes, data.size, &features) != VP8_STATUS_OK) {
    throw UserError("[media] {} is a damaged WebP: its header", source);
  }
  check_picture_size(features.width, features.height, source);
  return features;
}

using Demuxer = std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)>;

Demuxer demuxer_of(std::string_view bytes, std::string_view source) {
  const WebPData data = data_of(bytes);
  Demuxer demuxer(WebPDemux(&data), WebPDemuxDelete);
  if (!demuxer) throw UserError("[media] {} is a damaged WebP: its chunks are cut off or do not fit", source);
  return demuxer;
}

int webp_orientation(std::string_view bytes, std::string_view source) {
  const Demuxer demuxer = demuxer_of(bytes, source);
  const auto chunk_of = [&](const char* name) {
    WebPChunkIterator chunk{};
    std::string data;
    if (WebPDemuxGetChunk(demuxer.get(), name, 1, &chunk)) {
      data.assign(reinterpret_cast<const char*>(chunk.chunk.bytes), chunk.chunk.size);
    }
    WebPDemuxReleaseChunkIterator(&chunk);
    return data;
  };
  return orientation_of(chunk_of("EXIF"), chunk_of("XMP "));
}

Image decode_still(std::string_view bytes, const WebPBitstreamFeatures& features, std::string_view source) {
  const WebPData data = data_of(bytes);
  Image picture(features.width, features.height, features.has_alpha ? 4 : 3);
  const auto decode = features.has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  const int stride = static_cast<int>(picture.width * picture.channels);
  if (decode(data.bytes, data.size, picture.pixels.data(), picture.pixels.size(), stride) == nullptr) {
    throw UserError("[media] {} is a damaged WebP: its pixels", source);
  }
  return picture;
}

Image canvas_of(const uint8_t* rgba, const WebPAnimInfo& info, bool alpha) {
  Image canvas(info.canvas_width, info.canvas_height, alpha ? 4 : 3);
  for (uint8_t* to = canvas.pixels.data(); to != canvas.pixels.data() + canvas.pixels.size(); to += canvas.channels) {
    for (int64_t c = 0; c < canvas.channels; ++c) to[c] = rgba[c];
    rgba += 4;
  }
  return canvas;
}
}  // namespace

int64_t count_webp_frames(std::string_view bytes, std::string_view source) {
  if (!features_of(bytes, source).has_animation) return 1;
  return WebPDemuxGetI(demuxer_of(bytes, source).get(), WEBP_FF_FRAME_COUNT);
}

void play_webp(std::string_view bytes, std::string_view source, const ShowFrame& show) {
  const WebPBitstreamFeatures features = features_of(bytes, source);
  const int orientation = webp_orientation(bytes, source);
  if (!features.has_animation) {
    show(0, oriented(decode_still(bytes, features, source), orientation));
    return;
  }
  const WebPData data = data_of(bytes);
  WebPAnimDecoderOptions options{};
  WebPAnimDecoderOptionsInit(&options);
  const std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> decoder(WebPAnimDecoderNew(&data, &options),
                                                                                   WebPAnimDecoderDelete);
  WebPAnimInfo info{};
  if (!decoder || !WebPAnimDecoderGetInfo(decoder.get(), &info)) {
    throw UserError("[media] {} is a damaged WebP: its animation", source);
  }
  for (int64_t frame = 0; frame < info.frame_count; ++frame) {
    uint8_t* rgba = nullptr;
    int milliseconds = 0;
    if (!WebPAnimDecoderGetNext(decoder.get(), &rgba, &milliseconds)) {
      throw UserError("[media] {} is a damaged WebP: frame {} cannot be decoded", source, frame);
    }
    if (!show(frame, oriented(canvas_of(rgba, info, features.has_alpha), orientation))) return;
  }
}

Image decode_webp(std::string_view bytes, std::string_view source) {
  Image picture;
  play_webp(bytes, source, [&](int64_t, const Image& canvas) {
    picture = canvas;
    return false;
  });
  if (picture.pixels.empty()) throw UserError("[media] {} is a WebP without a frame", source);
  return picture;
}

}  // namespace tessera::media
