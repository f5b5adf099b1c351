// Presets and checks of codec shapes.
#include "codec/config.h"

#include <numeric>

#include <fmt/ranges.h>

#include "core/error.h"

namespace tessera::codec {

int64_t CodecConfig::bits_per_picture() const {
  return std::accumulate(scales.begin(), scales.end(), int64_t{0},
                         [&](int64_t sum, int64_t edge) { return sum + bits * edge * edge; });
}

AutoencoderShape CodecConfig::shape() const {
  return {.patch = patch,
          .channels = channels,
          .multipliers = multipliers,
          .encoder_blocks = encoder_blocks,
          .decoder_blocks = decoder_blocks,
          .middle_blocks = middle_blocks,
          .norm_groups = norm_groups,
          .latent = bits,
          .upscale = upscale,
          .decoder_channels = decoder_channels,
          .decoder_multipliers = decoder_multipliers};
}

std::vector<int64_t> AutoencoderShape::encoder_widths() const {
  std::vector<int64_t> widths;
  for (const int64_t multiplier : multipliers) widths.push_back(channels * multiplier);
  return widths;
}

std::vector<int64_t> AutoencoderShape::decoder_widths() const {
  std::vector<int64_t> widths;
  for (const int64_t multiplier : decoder_multipliers.empty() ? multipliers : decoder_multipliers)
    widths.push_back((decoder_channels == 0 ? channels : decoder_channels) * multiplier);
  return widths;
}

std::string CodecConfig::fingerprint() const {
  return fmt::format("{}/d{}/f{}/{}", name, bits, spatial_factor() / upscale, fmt::join(scales, "-"));
}

void validate(const AutoencoderShape& shape, int64_t picture_size, std::string_view module, bool exact_groups) {
  const auto want = [&](std::string_view name, int64_t got, int64_t least, int64_t most) {
    if (got < least || got > most) throw UserError("[{}] {} is {}, want {} to {}", module, name, got, least, most);
  };
  want("channels", shape.channels, 1, 1 << 14);
  want("patch", shape.patch, 1, 64);
  want("upscale", shape.upscale, 1, 16);
  want("decoder_channels", shape.decoder_channels, 0, 1 << 14);
  want("encoder_blocks", shape.encoder_blocks, 1, 64);
  want("decoder_blocks", shape.decoder_blocks, 1, 64);
  want("middle_blocks", shape.middle_blocks, 0, 64);
  want("norm_groups", shape.norm_groups, 1, 1 << 14);
  want("the number of multipliers", std::ssize(shape.multipliers), 1, 12);
  if (!shape.decoder_multipliers.empty() && shape.decoder_multipliers.size() != shape.multipliers.size())
    throw UserError("[{}] decoder_multipliers has {} numbers, want none or one for each of the {} levels", module,
                    shape.decoder_multipliers.size(), shape.multipliers.size());
  for (const auto& list : {shape.multipliers, shape.decoder_multipliers}) {
    for (const int64_t multiplier : list) want("a multiplier", multiplier, 1, 256);
  }
  for (const auto& widths : {shape.encoder_widths(), shape.decoder_widths()}) {
    for (const int64_t width : widths) {
      if (width % shape.norm_groups != 0 && (exact_groups || width % 24 != 0))
        throw UserError(
            "[{}] a level of {} channels cannot be split into {} groups; choose norm_groups that divides it", module,
            width, shape.norm_groups);
    }
  }
  const int64_t factor = (shape.patch * shape.upscale) << (shape.multipliers.size() - 1);
  if (picture_size < factor || picture_size % factor != 0)
    throw UserError("[{}] picture_size is {}, want a multiple of {} (patch and {} levels)", module, picture_size,
                    factor, shape.multipliers.size());
}

void validate(const CodecConfig& c) {
  if (c.bits < 1 || c.bits > 64) throw UserError("[codec] bits is {}, want 1 to 64", c.bits);
  validate(c.shape(), c.picture_size, "codec");
  const int64_t latent = c.picture_size / c.spatial_factor();
  if (c.scales.empty() || c.scales.back() != latent) {
    throw UserError("[codec] scales end at {}, want {}, the edge of the latent (picture_size / {})",
                    c.scales.empty() ? 0 : c.scales.back(), latent, c.spatial_factor());
  }
  for (size_t i = 0; i < c.scales.size(); ++i) {
    if (c.scales[i] < 1 || (i > 0 && c.scales[i] < c.scales[i - 1]))
      throw UserError("[codec] scales {} must grow from at least 1", fmt::join(c.scales, ","));
  }
}

std::vector<std::string> codec_preset_names() { return {"f16-d16", "f16-d24", "f16-d32", "f16-d64", "f8-d14"}; }

CodecConfig codec_preset(std::string_view name) {
  CodecConfig c;
  c.name = name;
  for (const int64_t d : {16, 24, 32, 64}) {
    c.bits = d;
    if (name == fmt::format("f16-d{}", d)) return c;
  }
  if (name == "f8-d14") {
    c.bits = 14;
    c.multipliers = {1, 2, 4, 4};
    c.scales = {2, 4, 8, 12, 16, 24, 32};
    return c;
  }
  throw UserError("[codec] unknown preset '{}'; did you mean '{}'?", name, nearest_word(name, codec_preset_names()));
}

}  // namespace tessera::codec
