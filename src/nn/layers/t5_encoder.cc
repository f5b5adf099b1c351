// Attention without a scale, with a learned number for every head and range of distances in the place of positions.
#include "nn/layers/t5_encoder.h"

#include <cmath>

#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/where.h>

#include "core/error.h"
#include "tensor/build.h"

namespace tessera::nn {

namespace {

/// [L, L] int64: which range the distance from a query (row) to a key (column) is in. Half of the ranges are for keys behind it; of each
/// half the first half are single distances and the rest grow by a constant factor up to the largest.
Tensor distance_ranges(int64_t length, const T5Config& c, at::Device device) {
  const Tensor at = at::arange(length, at::TensorOptions(at::kLong).device(device));
  const Tensor distance = at.unsqueeze(0) - at.unsqueeze(1), steps = distance.abs();
  const int64_t half = c.relative_attention_num_buckets / 2, single = half / 2;
  const auto factor = static_cast<float>(
      std::log(static_cast<double>(c.relative_attention_max_distance) / static_cast<double>(single)));
  const Tensor grown = (steps.to(at::kFloat) / static_cast<double>(single)).log() / factor * (half - single);
  const Tensor far = (grown.clamp_min(0).to(at::kLong) + single).clamp_max(half - 1);
  return at::where(steps < single, steps, far) + (distance > 0).to(at::kLong) * half;
}

}  // namespace

void validate(const T5Config& c) {
  const bool sound = c.vocab_size > 1 && c.d_model > 0 && c.d_kv > 0 && c.num_heads > 0 && c.d_ff > 0 &&
                     c.num_layers > 0 && c.vocab_size <= 1 << 24 && c.d_model <= 1 << 16 && c.d_kv <= 1 << 12 &&
                     c.num_heads <= 1 << 10 && c.d_ff <= 1 << 18 && c.num_layers <= 1 << 10;
  if (!sound)
    throw UserError(
        "[t5] an encoder of {} blocks, {} wide, with {} heads of {}, {} in between and {} words cannot be built",
        c.num_layers, c.d_model, c.num_heads, c.d_kv, c.d_ff, c.vocab_size);
  if (c.relative_attention_num_buckets < 4 || c.relative_attention_num_buckets % 4 != 0 ||
      c.relative_attention_max_distance <= c.relative_attention_num_buckets / 4)
    throw UserError(
        "[t5] {} ranges of distances up to {}; want a multiple of 4, and more distances than a quarter of it",
        c.relative_attention_num_buckets, c.relative_attention_max_distance);
}

Tensor T5FeedForward::forward(const Tensor& x) const {
  return wo.forward(at::gelu(wi_0.forward(x), "tanh") * wi_1.forward(x));
}

T5Block::T5Block(const T5Config& c)
    : attention{{c.d_model, c.num_heads * c.d_kv, false},
                {c.d_model, c.num_heads * c.d_kv, false},
                {c.d_model, c.num_heads * c.d_kv, false},
                {c.num_heads * c.d_kv, c.d_model, false}},
      feed_forward{{c.d_model, c.d_ff, false}, {c.d_model, c.d_ff, false}, {c.d_ff, c.d_model, false}},
      before_attention(c.d_model, c.layer_norm_epsilon), before_feed_forward(c.d_model, c.layer_norm_epsilon) {}

Tensor T5Block::forward(Tensor x, const Tensor& bias, int64_t heads) const {
  const Tensor normed = before_attention.forward(x);
  const auto by_head = [&](const Linear& layer) {
    return layer.forward(normed).unflatten(-1, {heads, -1}).transpose(1, 2);  // [1, heads, L, d]
  };
  const Tensor attended = at::scaled_dot_product_attention(by_head(attention.q), by_head(attention.k),
                                                           by_head(attention.v), bias, 0, false, 1.0);
  x = x + attention.o.forward(attended.transpose(1, 2).flatten(2));
  return x + feed_forward.forward(before_feed_forward.forward(x));
}

T5Encoder::T5Encoder(const T5Config& c)
    : config((validate(c), c)), shared(empty_weight({c.vocab_size, c.d_model})),
      relative_bias(empty_weight({c.relative_attention_num_buckets, c.num_heads})),
      final_layer_norm(c.d_model, c.layer_norm_epsilon) {
  for (int64_t i = 0; i < c.num_layers; ++i) blocks.emplace_back(c);
}

Tensor T5Encoder::forward(const Tensor& ids) const {
  const Tensor ranges = distance_ranges(ids.size(0), config, ids.device());
  const Tensor bias = at::embedding(relative_bias, ranges).permute({2, 0, 1}).unsqueeze(0).to(at::kFloat).contiguous();
  Tensor x = at::embedding(shared, ids).unsqueeze(0).to(at::kFloat);
  for (const T5Block& block : blocks) x = block.forward(x, bias, config.num_heads);
  return final_layer_norm.forward(x);
}

}  // namespace tessera::nn
