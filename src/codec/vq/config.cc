// Checks of codec shapes.
#include "codec/vq/config.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"

namespace tessera::vq {

namespace {

constexpr int64_t most_codes = 1 << 20;

/// Without the attention of its levels, so that sizes can be checked before they are divided by.
codec::AutoencoderShape without_attention(const VqConfig& c) {
  return {.patch = c.patch,
          .channels = c.channels,
          .multipliers = c.multipliers,
          .encoder_blocks = c.encoder_blocks,
          .decoder_blocks = c.decoder_blocks,
          .middle_blocks = 2,
          .norm_groups = c.norm_groups,
          .latent = c.latent_channels,
          .middle_attention = true,
          .upscale = c.upscale,
          .decoder_channels = c.decoder_channels,
          .decoder_multipliers = c.decoder_multipliers};
}

}  // namespace

codec::AutoencoderShape VqConfig::shape() const {
  codec::AutoencoderShape shape = without_attention(*this);
  for (size_t level = 0; level < multipliers.size(); ++level) {
    const int64_t edge = (picture_size / (patch * upscale)) >> level;
    shape.attention.push_back(std::ranges::find(attention_resolutions, edge) != attention_resolutions.end());
  }
  return shape;
}

std::string VqConfig::fingerprint() const {
  return fmt::format("{}/n{}/f{}/{}x{}", name, codes, spatial_factor() / upscale, edge(), edge());
}

void validate(const VqConfig& c) {
  if (c.codes < 2 || c.codes > most_codes) throw UserError("[vq] codes is {}, want 2 to {}", c.codes, most_codes);
  if (c.code_width < 1) throw UserError("[vq] code_width is {}, want at least 1", c.code_width);
  if (c.latent_channels < 1) throw UserError("[vq] latent_channels is {}, want at least 1", c.latent_channels);
  codec::validate(without_attention(c), c.picture_size, "vq", /*exact_groups=*/true);
}

}  // namespace tessera::vq
