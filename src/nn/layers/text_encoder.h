// Words to states. A model's text encoder is data: today a small transformer over bytes, trained along with its model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/fields.h"
#include "nn/attention/attention.h"
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"

namespace tessera::nn {

/// Shape of the byte encoder.
struct ByteEncoderConfig {
  int64_t width = 128;
  int64_t depth = 2;
  int64_t heads = 4;
  int64_t hidden = 512;  // width of the feed-forward layer
  bool operator==(const ByteEncoderConfig&) const = default;
};
template <class V> void fields(V& v, ByteEncoderConfig& c) {
  v("width", c.width, "width of the text states");
  v("depth", c.depth, "blocks");
  v("heads", c.heads, "attention heads");
  v("hidden", c.hidden, "width of the feed-forward layer");
}

/// What a prompt becomes: states [B, T, width], of which the first lengths[b] count; lengths [B] int64.
struct TextStates {
  Tensor states, lengths;
  bool padded = true;  // false: all lengths are T, no mask is needed
};

/// UTF-8 bytes as token ids 0..255, closed by the end token 256; padded with 0 to the longest. At most `max_length`
/// ids with the end token; longer texts are cut before a character, never inside one.
struct ByteTokens {
  Tensor ids;          // [B, T] int64
  Tensor lengths;      // [B] int64
  bool padded = true;  // false: all lengths are T
};
ByteTokens byte_tokens(const std::vector<std::string>& texts, int64_t max_length, at::Device device);

struct ByteEncoderBlock {
  LayerNorm norm1, norm2;
  SelfAttention attention;
  FeedForward feed_forward;

  ByteEncoderBlock() = default;
  ByteEncoderBlock(const ByteEncoderConfig& config);
  Tensor forward(const Tensor& x, const Tensor& mask) const;
};
template <class V> void tensors(V& v, ByteEncoderBlock& m) {
  v("norm1", m.norm1);
  v("attention", m.attention);
  v("norm2", m.norm2);
  v("feed_forward", m.feed_forward);
}

/// Pre-norm bidirectional transformer over bytes: token + position embedding, blocks, final norm.
struct ByteEncoder {
  Tensor embedding;  // [257, width]
  Tensor position;   // [max_length, width]
  std::vector<ByteEncoderBlock> blocks;
  LayerNorm norm;

  ByteEncoder() = default;
  ByteEncoder(const ByteEncoderConfig& config, int64_t max_length);
  TextStates forward(const ByteTokens& tokens) const;
};
template <class V> void tensors(V& v, ByteEncoder& m) {
  v("embedding", m.embedding);
  v("position", m.position);
  v("blocks", m.blocks);
  v("norm", m.norm);
}

/// Normal weights of deviation 1 / sqrt(fan in), less where they end in the residual stream; a pure function of the seed.
void initialise(ByteEncoder& encoder, uint64_t seed);

}  // namespace tessera::nn
