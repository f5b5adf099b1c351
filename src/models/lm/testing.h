// Small language models for tests.
#pragma once

#include "models/lm/architecture/module.h"
#include "models/lm/testing_config.h"
#include "nn/layers/adapters.h"
#include "nn/packed/block_weight.h"
#include "tensor/build.h"

namespace tessera::lm {

/// A model whose every part matters: biases and norms away from where they start, weights large enough to be heard.
inline DecoderLm tiny_lm(const LmConfig& config, uint64_t seed = 7) {
  const at::NoGradGuard no_grad;
  DecoderLm model(config);
  for_each_tensor(model, [&](const std::string& name, Tensor& t) {
    const Tensor start = t.dim() < 2 ? t.clone() : Tensor();
    fill_truncated_normal(t, 0.3, Rng(seed).split(hash_text(name)));
    if (present(start)) t.add_(start);
  });
  return model;
}

/// A model in the shape of a family, as wide as blocks ask for, whose layers lie in blocks of a type ("q4_0").
inline DecoderLm tiny_block_lm(const std::string& family, std::string_view type) {
  LmConfig config = tiny_config(family);
  config.width = 64;
  config.hidden = 96;
  DecoderLm model = tiny_lm(config);
  const nn::blocks::BlockType block = nn::blocks::block_type_named(type)->type;
  for (const nn::NamedLinear& each : nn::named_linears(model)) {
    nn::Linear& linear = *each.linear;
    if (!present(linear.weight)) continue;  // a tied head
    linear.pack(nn::rounded_to_blocks(linear.weight, block));
  }
  return model;
}

/// The same model with plain weights.
inline DecoderLm unpacked(DecoderLm model) {
  for (const nn::NamedLinear& each : nn::named_linears(model)) {
    if (!each.linear->packed) continue;
    each.linear->weight = each.linear->packed->unpack();
    each.linear->packed = nullptr;
  }
  return model;
}

/// Token ids [B, L] that depend on the seed alone.
inline Tensor tiny_ids(int64_t batch, int64_t length, int64_t vocabulary = 40, uint64_t seed = 3) {
  Tensor ids = at::empty({batch, length}, at::kLong);
  Rng rng(seed);
  for (int64_t i = 0; i < ids.numel(); ++i)
    ids.mutable_data_ptr<int64_t>()[i] = static_cast<int64_t>(rng.below(static_cast<uint64_t>(vocabulary)));
  return ids;
}

/// Largest difference of any two numbers.
inline double furthest(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

/// Logits [B, L, V] of whole sequences.
inline Tensor full_logits(const DecoderLm& model, const Tensor& ids) {
  return model.logits(model.forward(model.embed(ids), positions_of(model, ids.size(1), {}, at::kCPU)));
}

}  // namespace tessera::lm
