// Checks of codec shapes.
#include "codec/vq/config.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"

namespace tessera::vq {

namespace {
constexpr int64_t most_codes = 1 << 20;
}

codec::AutoencoderShape VqConfig::shape() const {
  codec::AutoencoderShape shape{.patch = patch,
                                .channels = channels,
                                .multipliers = multipliers,
                                .encoder_blocks = encoder_blocks,
                                .decoder_blocks = decoder_blocks,
                                .middle_blocks = 2,
                                .norm_groups = norm_groups,
                                .latent = latent_channels,
                                .middle_attention = true};
  for (size_t level = 0; level < multipliers.size(); ++level) {
    const int64_t edge = (picture_size / patch) >> level;
    shape.attention.push_back(std::ranges::find(attention_resolutions, edge) != attention_resolutions.end());
  }
  return shape;
}

std::string VqConfig::fingerprint() const {
  return fmt::format("{}/n{}/f{}/{}x{}", name, codes, spatial_factor(), edge(), edge());
}

void validate(const VqConfig& c) {
  const auto want = [](bool good, std::string_view name, int64_t got, std::string_view wanted) {
    if (!good) throw UserError("[vq] {} is {}, want {}", name, got, wanted);
  };
  want(c.codes >= 2 && c.codes <= most_codes, "codes", c.codes, "2 to 1048576");
  want(c.code_width >= 1, "code_width", c.code_width, "at least 1");
  want(c.latent_channels >= 1, "latent_channels", c.latent_channels, "at least 1");
  want(c.channels >= 1 && c.channels <= 1 << 14, "channels", c.channels, "1 to 16384");
  want(c.patch >= 1 && c.patch <= 64, "patch", c.patch, "1 to 64");
  want(c.encoder_blocks >= 1 && c.encoder_blocks <= 64, "encoder_blocks", c.encoder_blocks, "1 to 64");
  want(c.decoder_blocks >= 1 && c.decoder_blocks <= 64, "decoder_blocks", c.decoder_blocks, "1 to 64");
  want(c.norm_groups >= 1, "norm_groups", c.norm_groups, "at least 1");
  want(!c.multipliers.empty() && c.multipliers.size() <= 12, "the number of multipliers",
       static_cast<int64_t>(c.multipliers.size()), "1 to 12");
  for (const int64_t m : c.multipliers) {
    want(m >= 1 && m <= 256, "a multiplier", m, "1 to 256");
    if ((m * c.channels) % c.norm_groups != 0)
      throw UserError("[vq] a level of {} channels cannot be split into {} groups; choose norm_groups that divides it",
                      m * c.channels, c.norm_groups);
  }
  if (c.picture_size < c.spatial_factor() || c.picture_size % c.spatial_factor() != 0)
    throw UserError("[vq] picture_size is {}, want a multiple of {} (patch and {} levels)", c.picture_size,
                    c.spatial_factor(), c.multipliers.size());
}

}  // namespace tessera::vq
