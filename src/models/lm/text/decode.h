// A decoder language model part way through a batch: the prompt in one or several passes, then token by token against
// the cache.
#pragma once

#include "generate/text_loop.h"
#include "models/lm/architecture/module.h"

namespace tessera::lm {

struct DecodeOptions {
  bool cache_int8 = false;
  int64_t chunk =
      1024;  // positions of all rows together that go through the model at once, so that memory stays bounded
  int64_t cache_block = 256;  // positions that the cache grows by at least
};

/// The cache that a model of this depth begins with.
nn::TokenCacheOptions cache_options(const DecoderLm& model, const DecodeOptions& options);

/// What the model is asked to go on from. Rows of different lengths are padded on the left.
struct Prefill {
  Tensor ids;         // [B, L] int64 (any id at padding), or absent:
  Tensor embeddings;  // [B, L, C], for prompts that are not only text
  Tensor pad;         // [B] int64: positions of padding at each row's beginning; absent: none
};

/// Rows of token ids side by side, the shorter ones padded on the left with id 0.
Prefill padded(const std::vector<std::vector<int32_t>>& rows, at::Device device);

/// `model` must stand while this does.
class DecodeSteps : public generate::TokenSteps {
 public:
  DecodeSteps(const DecoderLm& model, Prefill prefill, const DecodeOptions& options = {});
  /// Goes on after the positions of a cache (of no padding, and of the same rows); the prefill is what follows them.
  DecodeSteps(const DecoderLm& model, Prefill prefill, const DecodeOptions& options, nn::TokenCache cache);

  Tensor start() override;
  Tensor next(const Tensor& ids) override;
  void keep(const Tensor& rows) override;
  const nn::TokenCache& cache() const { return cache_; }
  nn::TokenCache take_cache() && { return std::move(cache_); }

 private:
  Tensor pass(const Tensor& embeddings);
  Tensor last_logits(const Tensor& hidden) const;

  const DecoderLm* model_;
  Prefill prefill_;
  DecodeOptions options_;
  nn::TokenCache cache_;
};

}  // namespace tessera::lm
