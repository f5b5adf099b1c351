// Shape of an Infinity transformer (arXiv 2412.04431). What it was trained with belongs here, what a drawing wants does not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fields.h"
#include "nn/layers/text_encoder.h"

namespace tessera::infinity {

struct InfinityConfig {
  int64_t width = 768;          // C
  int64_t depth = 12;           // blocks
  int64_t heads = 8;            // width / heads must be a multiple of 4
  int64_t hidden = 0;           // feed-forward width; 0: 4C rounded half-even to a multiple of 256
  int64_t bits = 16;            // d of the codec: bits per latent position
  bool patchify = false;        // one token is a 2x2 patch of latent positions: 4d bits
  std::string head = "bits";    // "bits": two logits per bit (IVC); "index": one logit per codeword, 2^d of them
  int64_t text_width = 2048;    // width of the text states
  int64_t text_length = 512;    // longest prompt in text tokens, its end token included
  int64_t pool_heads = 16;      // heads of the attention pool that makes the start token
  int64_t levels = 15;          // rows of the level embedding: the most scales there can be
  std::vector<int64_t> scales;  // square scale edges in tokens; empty: the published templates
  std::string pixels = "1M";    // which of the published templates it was trained for
  std::optional<nn::ByteEncoderConfig> text_encoder;  // absent: text states come from outside (flan-t5-xl)
  std::string codec;                                  // fingerprint of the codec it belongs to; empty: unknown

  bool operator==(const InfinityConfig&) const = default;

  int64_t feed_forward_width() const;
  int64_t head_dim() const { return width / heads; }
  int64_t bits_per_token() const { return patchify ? 4 * bits : bits; }
  /// Outputs of the head for one token.
  int64_t head_outputs() const { return head == "index" ? int64_t{1} << bits_per_token() : 2 * bits_per_token(); }
};

template <class V> void fields(V& v, InfinityConfig& c) {
  v("width", c.width, "model width");
  v("depth", c.depth, "blocks");
  v("heads", c.heads, "attention heads");
  v("hidden", c.hidden, "feed-forward width (0: 4 * width rounded to a multiple of 256)");
  v("bits", c.bits, "bits per latent position, as in the codec");
  v("patchify", c.patchify, "one token is a 2x2 patch of latent positions");
  v("head", c.head, "bits (two logits per bit) or index (one logit per codeword)");
  v("text_width", c.text_width, "width of the text states");
  v("text_length", c.text_length, "longest prompt in text tokens");
  v("pool_heads", c.pool_heads, "heads of the attention pool that makes the start token");
  v("levels", c.levels, "rows of the level embedding");
  v("scales", c.scales, "square scale edges, coarse to fine (empty: the published templates)");
  v("pixels", c.pixels, "published template it was trained for: 0.06M, 0.25M, 0.60M or 1M");
  v("text_encoder", c.text_encoder, "byte encoder trained along (absent: text states come from outside)");
  v("codec", c.codec, "fingerprint of the codec it belongs to");
}

/// Throws UserError when no model of this shape can be built.
void validate(const InfinityConfig& config);

/// A size of the published table and its published number of parameters.
struct Preset {
  std::string name;
  InfinityConfig config;
  double published_parameters;  // as printed, three or four digits
};

const std::vector<Preset>& presets();
/// Throws UserError that names the nearest preset.
const InfinityConfig& preset(std::string_view name);

}  // namespace tessera::infinity
