// Only the last position's hidden state goes through the head: for a long prompt and a large vocabulary the logits of
// all would be most of the memory.
#include "models/lm/text/decode.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

namespace tessera::lm {

Prefill padded(const std::vector<std::vector<int32_t>>& rows, at::Device device) {
  size_t longest = 0;
  bool equal = true;
  for (const auto& row : rows) {
    equal = equal && row.size() == rows.front().size();
    longest = std::max(longest, row.size());
  }
  const auto batch = std::ssize(rows), length = static_cast<int64_t>(longest);
  Tensor ids = at::zeros({batch, length}, at::kLong), pad = at::zeros({batch}, at::kLong);
  for (int64_t r = 0; r < batch; ++r) {
    const auto& row = rows[static_cast<size_t>(r)];
    const int64_t begin = length - std::ssize(row);
    std::copy(row.begin(), row.end(), ids.mutable_data_ptr<int64_t>() + r * length + begin);
    pad.mutable_data_ptr<int64_t>()[r] = begin;
  }
  return {.ids = ids.to(device), .pad = equal ? Tensor() : pad.to(device)};
}

nn::TokenCacheOptions cache_options(const DecoderLm& model, const DecodeOptions& options) {
  return {.depth = model.config.depth, .block = options.cache_block, .int8 = options.cache_int8};
}

DecodeSteps::DecodeSteps(const DecoderLm& model, Prefill prefill, const DecodeOptions& options)
    : DecodeSteps(model, std::move(prefill), options, nn::TokenCache(cache_options(model, options))) {}

DecodeSteps::DecodeSteps(const DecoderLm& model, Prefill prefill, const DecodeOptions& options, nn::TokenCache cache)
    : model_(&model), prefill_(std::move(prefill)), options_(options), cache_(std::move(cache)) {}

/// embeddings [B, n, C] of the positions after those in the cache -> hidden states [B, n, C].
Tensor DecodeSteps::pass(const Tensor& embeddings) {
  const Positions positions =
      positions_of(model_->config, cache_.length(), embeddings.size(1), prefill_.pad, embeddings.device());
  return model_->forward(embeddings, positions, &cache_);
}

Tensor DecodeSteps::last_logits(const Tensor& hidden) const { return model_->logits(hidden.select(1, -1)); }

Tensor DecodeSteps::start() {
  const c10::InferenceMode inference;
  const Tensor& whole = present(prefill_.ids) ? prefill_.ids : prefill_.embeddings;
  const int64_t length = whole.size(1), most = std::max<int64_t>(options_.chunk / whole.size(0), 16);
  TORCH_INTERNAL_ASSERT(length > 0, "a prompt of at least one position");
  Tensor hidden;
  for (int64_t begin = 0; begin < length; begin += most) {
    const Tensor part = whole.narrow(1, begin, std::min(most, length - begin));
    hidden = pass(present(prefill_.ids) ? model_->embed(part) : part);
  }
  prefill_.ids = prefill_.embeddings = Tensor();
  return last_logits(hidden);
}

Tensor DecodeSteps::next(const Tensor& ids) {
  const c10::InferenceMode inference;
  return last_logits(pass(model_->embed(ids.to(model_->embed_tokens.device()).unsqueeze(1))));
}

void DecodeSteps::keep(const Tensor& rows) {
  const c10::InferenceMode inference;
  cache_.keep(rows);
  if (!present(prefill_.pad)) return;
  prefill_.pad = prefill_.pad.index_select(0, rows.to(prefill_.pad.device()));
  // When the longest row has left, its neighbours keep their padding: the cache's positions do not move.
}

}  // namespace tessera::lm
