// Keys and values of token sequences, grown in blocks as they come, in the model's own format or in 8 bits. Running
// state: made by whoever runs a model, passed in, never stored in it.
#pragma once

#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace tessera::nn {

struct TokenCacheOptions {
  int64_t depth = 0;    // blocks
  int64_t block = 256;  // positions that are allocated at a time
  bool int8 = false;    // keys and values as 8-bit integers with a scale per position and head
};

/// All rows of a batch have the same number of positions: shorter prompts are padded on the left. Room grows by `block`
/// positions or by half of what is there, whichever is more, so that a long sequence is copied a few times in all.
class TokenCache {
 public:
  /// Throws UserError for a depth below 0 or a block below 1.
  explicit TokenCache(const TokenCacheOptions& options);

  /// Adds keys and values [B, H, n, head_dim] of one block and gives all so far, [B, H, length, head_dim], in the format
  /// of what was added: views that stand until the next call, or copies where they are kept in 8 bits (rounded to
  /// absmax / 127 of each position and head).
  /// No gradients go through it.
  std::pair<Tensor, Tensor> append(size_t layer, const Tensor& keys, const Tensor& values);
  /// Positions held before the pass that is under way: of the last layer, which is appended to last.
  int64_t length() const { return layers_.empty() ? 0 : layers_.back().length; }
  /// Goes on with these rows of the batch, in this order; [n] int64.
  void keep(const Tensor& rows);
  /// Forgets all but the first `length` positions; the room stays.
  void truncate(int64_t length);
  /// Bytes of all it has allocated.
  int64_t bytes() const;

 private:
  struct Layer {
    Tensor keys, values;              // [B, H, capacity, head_dim]
    Tensor key_scales, value_scales;  // [B, H, capacity, 1] fp32, int8 only
    int64_t length = 0;
  };
  void reserve(Layer& layer, const Tensor& like, int64_t length) const;
  TokenCacheOptions options_;
  std::vector<Layer> layers_;
};

}  // namespace tessera::nn
