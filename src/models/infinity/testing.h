// Small Infinity models and codecs for tests.
#pragma once

#include "codec/codec.h"
#include "models/infinity/module.h"

namespace tessera::infinity {

/// 12x12 pictures, latents 3x3 of 4 bits.
inline codec::CodecConfig tiny_codec_config() {
  codec::CodecConfig c;
  c.name = "tiny";
  c.picture_size = 12;
  c.channels = 4;
  c.multipliers = {1, 1, 2};
  c.norm_groups = 2;
  c.encoder_blocks = c.decoder_blocks = c.middle_blocks = 1;
  c.bits = 4;
  c.scales = {1, 2, 3};
  return c;
}

inline codec::Codec tiny_codec(uint64_t seed = 5, const codec::CodecConfig& config = tiny_codec_config()) {
  codec::Codec codec(config);
  codec::initialise(codec, seed);
  return codec;
}

inline InfinityConfig tiny_config() {
  InfinityConfig c;
  c.width = 32;
  c.depth = 2;
  c.heads = 2;
  c.hidden = 48;
  c.bits = 4;
  c.text_width = 16;
  c.text_length = 24;
  c.pool_heads = 2;
  c.levels = 4;
  c.scales = {1, 2, 3};
  c.text_encoder = nn::ByteEncoderConfig{.width = 16, .depth = 1, .heads = 2, .hidden = 24};
  return c;
}

/// A model whose every part matters: gates and modulation far from their small beginnings.
inline Infinity tiny_infinity(uint64_t seed = 7, const InfinityConfig& config = tiny_config()) {
  Infinity model(config);
  initialise(model, seed, {.adaptive = 2, .gate = 2, .head = 2});
  return model;
}

/// A picture of noise that depends on `seed` alone.
inline Image noise_picture(uint64_t seed, int64_t edge = 12) {
  Image picture(edge, edge, 3);
  Rng rng(seed);
  for (uint8_t& value : picture.pixels) value = static_cast<uint8_t>(rng.below(256));
  return picture;
}

}  // namespace tessera::infinity
