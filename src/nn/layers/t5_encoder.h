// The encoder of T5 with gated feed-forward layers (flan-t5, t5 v1.1; arXiv 1910.10683, 2002.05202): words to states. Tensor names are
// those of transformers' T5EncoderModel.
#pragma once

#include <string>
#include <vector>

#include "core/fields.h"
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"

namespace tessera::nn {

/// Under the names of Hugging Face's config.json; the numbers of flan-t5-xl.
struct T5Config {
  int64_t vocab_size = 32128;
  int64_t d_model = 2048;  // width of the states
  int64_t d_kv = 64;       // width of a head
  int64_t num_heads = 32;
  int64_t d_ff = 5120;
  int64_t num_layers = 24;
  int64_t relative_attention_num_buckets = 32;
  int64_t relative_attention_max_distance = 128;
  double layer_norm_epsilon = 1e-6;
  bool operator==(const T5Config&) const = default;
};
template <class V> void fields(V& v, T5Config& c) {
  v("vocab_size", c.vocab_size, "rows of the embedding");
  v("d_model", c.d_model, "width of the states");
  v("d_kv", c.d_kv, "width of a head");
  v("num_heads", c.num_heads, "attention heads");
  v("d_ff", c.d_ff, "width of the feed-forward layer");
  v("num_layers", c.num_layers, "blocks");
  v("relative_attention_num_buckets", c.relative_attention_num_buckets, "distances that are told apart");
  v("relative_attention_max_distance", c.relative_attention_max_distance, "distances beyond are alike");
  v("layer_norm_epsilon", c.layer_norm_epsilon, "of all norms");
}
/// Throws UserError for a shape that cannot be built.
void validate(const T5Config& config);

struct T5Attention {
  Linear q, k, v, o;
};
template <class V> void tensors(V& visit, T5Attention& m) {
  visit("q", m.q);
  visit("k", m.k);
  visit("v", m.v);
  visit("o", m.o);
}

struct T5FeedForward {
  Linear wi_0, wi_1, wo;
  Tensor forward(const Tensor& x) const;
};
template <class V> void tensors(V& v, T5FeedForward& m) {
  v("wi_0", m.wi_0);
  v("wi_1", m.wi_1);
  v("wo", m.wo);
}

struct T5Block {
  T5Attention attention;
  T5FeedForward feed_forward;
  RmsNorm before_attention, before_feed_forward;

  T5Block() = default;
  explicit T5Block(const T5Config& config);
  /// x [1, L, C], bias [1, heads, L, L] of the distances -> [1, L, C].
  Tensor forward(Tensor x, const Tensor& bias, int64_t heads) const;
};
template <class V> void tensors(V& v, T5Block& m) {
  v("layer.0.SelfAttention", m.attention);
  v("layer.0.layer_norm", m.before_attention);
  v("layer.1.DenseReluDense", m.feed_forward);
  v("layer.1.layer_norm", m.before_feed_forward);
}

struct T5Encoder {
  T5Config config;
  Tensor shared;         // [V, C]
  Tensor relative_bias;  // [buckets, heads], of the first block and used by all
  std::vector<T5Block> blocks;
  RmsNorm final_layer_norm;

  T5Encoder() = default;
  explicit T5Encoder(const T5Config& config);
  /// ids [L] int64 of one text, its end token included -> states [1, L, C] fp32.
  Tensor forward(const Tensor& ids) const;
};
template <class V> void tensors(V& v, T5Encoder& m) {
  v("shared.weight", m.shared);
  v("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", m.relative_bias);
  v("encoder.block", m.blocks);
  v("encoder.final_layer_norm", m.final_layer_norm);
}

}  // namespace tessera::nn
