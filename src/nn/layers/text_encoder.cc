// Bytes need no vocabulary file and no prompt is out of it; the small encoder learns spelling along with drawing.
#include "nn/layers/text_encoder.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "tensor/build.h"

namespace tessera::nn {

namespace {

constexpr int64_t end_token = 256;

/// Bytes of `text` that fit, cut before a UTF-8 character.
size_t fitting_bytes(const std::string& text, size_t most) {
  if (text.size() <= most) return text.size();
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return most;
}

}  // namespace

ByteTokens byte_tokens(const std::vector<std::string>& texts, int64_t max_length, at::Device device) {
  std::vector<int64_t> lengths;
  for (const std::string& text : texts) {
    lengths.push_back(static_cast<int64_t>(fitting_bytes(text, static_cast<size_t>(max_length - 1))) + 1);
  }
  const auto count = static_cast<int64_t>(texts.size());
  Tensor ids = at::zeros({count, *std::max_element(lengths.begin(), lengths.end())}, at::kLong);
  for (int64_t b = 0; b < count; ++b) {
    int64_t* row = ids.mutable_data_ptr<int64_t>() + b * ids.size(1);
    for (int64_t i = 0; i + 1 < lengths[b]; ++i) row[i] = static_cast<unsigned char>(texts[b][i]);
    row[lengths[b] - 1] = end_token;
  }
  const bool padded = *std::min_element(lengths.begin(), lengths.end()) < ids.size(1);
  return {ids.to(device), at::tensor(lengths, at::kLong).to(device), padded};
}

ByteEncoderBlock::ByteEncoderBlock(const ByteEncoderConfig& config)
    : norm1(config.width), norm2(config.width), attention(config.width, config.heads),
      feed_forward(config.width, config.hidden) {}

Tensor ByteEncoderBlock::forward(const Tensor& x, const Tensor& mask) const {
  const Tensor y = x + attention.forward(norm1.forward(x), mask);
  return y + feed_forward.forward(norm2.forward(y));
}

ByteEncoder::ByteEncoder(const ByteEncoderConfig& config, int64_t max_length)
    : embedding(empty_weight({end_token + 1, config.width})), position(empty_weight({max_length, config.width})),
      norm(config.width) {
  for (int64_t i = 0; i < config.depth; ++i) blocks.emplace_back(config);
}

TextStates ByteEncoder::forward(const ByteTokens& tokens) const {
  const int64_t longest = tokens.ids.size(1);
  const Tensor mask = tokens.padded ? padding_mask(tokens.lengths, longest) : Tensor();
  Tensor x = at::embedding(embedding, tokens.ids) + position.slice(0, 0, longest);  // [B, T, width]
  for (const ByteEncoderBlock& block : blocks) x = block.forward(x, mask);
  return {norm.forward(x), tokens.lengths, tokens.padded};
}

void initialise(ByteEncoder& encoder, uint64_t seed) {
  const Rng rng(seed);
  const double depth_factor = 1 / std::sqrt(2.0 * static_cast<double>(std::max<size_t>(encoder.blocks.size(), 1)));
  for_each_tensor(encoder, [&](const std::string& name, Tensor& t) {
    if (t.dim() != 2) return;  // biases and norms already are 0 and 1
    const bool is_table = name == "embedding" || name == "position";
    const bool into_residual = name.find("proj") != std::string::npos || name.find("fc2") != std::string::npos;
    const double std =
        is_table ? 0.5 : (into_residual ? depth_factor : 1.0) / std::sqrt(static_cast<double>(t.size(1)));
    fill_truncated_normal(t, std, rng.split(hash_text(name)));
  });
}

}  // namespace tessera::nn
