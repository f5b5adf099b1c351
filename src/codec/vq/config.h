// Shape of a picture codec with one code per position: a convolutional autoencoder around a codebook.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/config.h"
#include "core/fields.h"

namespace tessera::vq {

/// Convolutional autoencoder and codebook (VQGAN, arXiv 2012.09841, section 3.1). The defaults are Chameleon's.
struct VqConfig {
  std::string name = "vq";                          // what errors and model cards call it
  int64_t picture_size = 512;                       // pixels on an edge of the square pictures it was made for
  int64_t patch = 1;                                // pixel-unshuffle before the first convolution (1: none)
  int64_t channels = 128;                           // width of the first level
  std::vector<int64_t> multipliers{1, 1, 2, 2, 4};  // width of each level in units of `channels`
  int64_t encoder_blocks = 2;                       // residual blocks per level, going down
  int64_t decoder_blocks = 3;                       // residual blocks per level, going up
  int64_t norm_groups = 32;                         // GroupNorm groups, which divide the width of every level
  std::vector<int64_t> attention_resolutions;       // edges of the levels whose blocks are followed by attention
  int64_t latent_channels = 256;  // z: channels between the convolutions and the codebook's projections
  int64_t code_width = 256;       // numbers of a code
  int64_t codes = 8192;           // entries of the codebook
  int64_t upscale = 1;            // the encoder sees pictures averaged down by this, the decoder gives them whole
  int64_t decoder_channels = 0;   // `channels` of the decoder; 0: the same
  std::vector<int64_t> decoder_multipliers;  // `multipliers` of the decoder; empty: the same

  bool operator==(const VqConfig&) const = default;

  /// Pixels per code along an edge.
  int64_t spatial_factor() const { return (patch * upscale) << (multipliers.size() - 1); }
  /// Codes along an edge of a square picture.
  int64_t edge() const { return picture_size / spatial_factor(); }
  int64_t codes_per_picture() const { return edge() * edge(); }
  codec::AutoencoderShape shape() const;
  /// Names what makes the codes of two codecs interchangeable, whatever their decoders: "name/n8192/f16/32x32".
  std::string fingerprint() const;
};
template <class V> void fields(V& v, VqConfig& c) {
  v("name", c.name, "what errors and model cards call this codec");
  v("picture_size", c.picture_size, "pixels on an edge of a square picture");
  v("patch", c.patch, "pixel-unshuffle factor before the first convolution (1: none)");
  v("channels", c.channels, "width of the first level");
  v("multipliers", c.multipliers, "width of each level in units of channels");
  v("encoder_blocks", c.encoder_blocks, "residual blocks per level, going down");
  v("decoder_blocks", c.decoder_blocks, "residual blocks per level, going up");
  v("norm_groups", c.norm_groups, "GroupNorm groups, which divide the width of every level");
  v("attention_resolutions", c.attention_resolutions, "edges of the levels whose blocks are followed by attention");
  v("latent_channels", c.latent_channels, "channels between the convolutions and the codebook's projections");
  v("code_width", c.code_width, "numbers of a code");
  v("codes", c.codes, "entries of the codebook");
  v("upscale", c.upscale,
    "the encoder sees pictures averaged down by this factor, the decoder gives them whole (1: alike)");
  v("decoder_channels", c.decoder_channels, "width of the decoder's first level (0: channels)");
  v("decoder_multipliers", c.decoder_multipliers,
    "width of each of the decoder's levels in units of it (empty: multipliers)");
}

/// Throws UserError when a config cannot be built.
void validate(const VqConfig& config);

/// The sizes that a vqgan.yaml gives under model.params (taming-transformers; the one beside Chameleon's vqgan.ckpt). Throws UserError that
/// names the file: no YAML, a key that is missing or of a wrong type, and settings of another autoencoder (double_z, pictures of other
/// than three channels). Built without libyaml (TESSERA_YAML=OFF) it always throws.
VqConfig read_vqgan_yaml(const std::filesystem::path& file);

}  // namespace tessera::vq
