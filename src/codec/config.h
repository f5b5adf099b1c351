// Shape of a picture codec: a convolutional autoencoder around a multi-scale bitwise quantiser.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/fields.h"

namespace tessera::codec {

/// Levels of residual blocks around a middle, whatever quantiser stands between the two halves.
struct AutoencoderShape {
  int64_t patch = 1;                 // pixel-unshuffle before the first convolution (1: none)
  int64_t channels = 128;            // width of the first level
  std::vector<int64_t> multipliers;  // width of each level in units of `channels`
  int64_t encoder_blocks = 2, decoder_blocks = 3, middle_blocks = 2;
  int64_t norm_groups = 32;
  int64_t latent = 32;            // channels between the halves
  bool middle_attention = false;  // after the first block of the middle
  std::vector<bool> attention{};  // per level: attention after each block; empty: at none
  int64_t upscale = 1;            // the encoder sees pictures averaged down by this, the decoder gives them whole
  int64_t decoder_channels = 0;   // `channels` of the decoder; 0: the same
  std::vector<int64_t> decoder_multipliers{};  // `multipliers` of the decoder; empty: the same

  /// Channels of each level, finest first.
  std::vector<int64_t> encoder_widths() const;
  std::vector<int64_t> decoder_widths() const;
};

/// Convolutional autoencoder and its quantiser (arXiv 2412.04431, section 3.2; structure of the released VAE).
struct CodecConfig {
  std::string name = "codec";                          // what errors and model cards call it
  int64_t picture_size = 256;                          // pixels on an edge of the square pictures it was made for
  int64_t patch = 1;                                   // pixel-unshuffle before the first convolution (1: none)
  int64_t channels = 128;                              // width of the first level
  std::vector<int64_t> multipliers{1, 2, 4, 4, 4};     // width of each level in units of `channels`
  int64_t encoder_blocks = 2;                          // residual blocks per level, going down
  int64_t decoder_blocks = 3;                          // residual blocks per level, going up
  int64_t middle_blocks = 2;                           // residual blocks at the bottom, on each side
  int64_t norm_groups = 32;                            // GroupNorm groups (24 where the width is no multiple)
  int64_t bits = 32;                                   // d: bits per position, 1 to 64
  std::vector<int64_t> scales{1, 2, 4, 6, 8, 12, 16};  // edges of the square scale schedule, coarse to fine
  int64_t upscale = 1;           // the encoder sees pictures averaged down by this, the decoder gives them whole
  int64_t decoder_channels = 0;  // `channels` of the decoder; 0: the same
  std::vector<int64_t> decoder_multipliers;  // `multipliers` of the decoder; empty: the same

  bool operator==(const CodecConfig&) const = default;

  /// Pixels per latent position along an edge.
  int64_t spatial_factor() const { return (patch * upscale) << (multipliers.size() - 1); }
  AutoencoderShape shape() const;
  /// Bits of one square picture: d * sum of the scales' areas.
  int64_t bits_per_picture() const;
  /// Names what makes the codes of two codecs interchangeable, whatever their decoders: "name/d16/f8/1-2-3-4-6-8".
  std::string fingerprint() const;
};

template <class V> void fields(V& v, CodecConfig& c) {
  v("name", c.name, "what errors and model cards call this codec");
  v("picture_size", c.picture_size, "pixels on an edge of a square picture");
  v("patch", c.patch, "pixel-unshuffle factor before the first convolution (1: none)");
  v("channels", c.channels, "width of the first level");
  v("multipliers", c.multipliers, "width of each level in units of channels");
  v("encoder_blocks", c.encoder_blocks, "residual blocks per level, going down");
  v("decoder_blocks", c.decoder_blocks, "residual blocks per level, going up");
  v("middle_blocks", c.middle_blocks, "residual blocks at the bottom, on each side");
  v("norm_groups", c.norm_groups, "GroupNorm groups (24 where a width is no multiple)");
  v("bits", c.bits, "bits per position, 1 to 64");
  v("scales", c.scales, "edges of the square scale schedule, coarse to fine");
  v("upscale", c.upscale,
    "the encoder sees pictures averaged down by this factor, the decoder gives them whole (1: alike)");
  v("decoder_channels", c.decoder_channels, "width of the decoder's first level (0: channels)");
  v("decoder_multipliers", c.decoder_multipliers,
    "width of each of the decoder's levels in units of it (empty: multipliers)");
}

/// Throws UserError that begins with [module] for sizes that no autoencoder has, and for pictures that its levels do not divide. The bounds are
/// far above any real model: they keep a damaged config.json from asking for a billion layers. With `exact_groups` norm_groups divides every
/// level; without, 24 groups may take its place.
void validate(const AutoencoderShape& shape, int64_t picture_size, std::string_view module, bool exact_groups = false);
/// Throws UserError when a config cannot be built (bits outside 1..64, scales that do not end at the latent's edge, ...).
void validate(const CodecConfig& config);

/// `config` itself, after validate().
template <class Config> const Config& validated(const Config& config) {
  validate(config);
  return config;
}

/// `config` as if its decoder were the plainest for the encoder's own pictures: two codecs whose encoder_of() are equal may differ in their
/// decoders alone.
template <class Config> Config encoder_of(Config config) {
  config.name.clear();
  config.picture_size /= config.upscale;
  config.upscale = config.decoder_blocks = 1;
  config.decoder_channels = 0;
  config.decoder_multipliers.clear();
  return config;
}

/// The released VAEs: "f16-d16", "f16-d24", "f16-d32", "f16-d64" and "f8-d14" (the 8B model's).
CodecConfig codec_preset(std::string_view name);
std::vector<std::string> codec_preset_names();

}  // namespace tessera::codec
