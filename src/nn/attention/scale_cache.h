// Keys and values of positions already seen. A model's running state: made by whoever runs it, passed in, never stored in it.
#pragma once

#include <vector>

#include "tensor/tensor.h"

namespace tessera::nn {

/// One layer's keys and values, [B, H, capacity, head_dim]; the first `length` positions are filled.
struct LayerCache {
  Tensor keys, values;
  int64_t length = 0;

  /// Adds keys and values [B, H, n, head_dim] and gives all that are filled so far, [B, H, length, head_dim].
  std::pair<Tensor, Tensor> append(const Tensor& new_keys, const Tensor& new_values);
};

struct KvCache {
  std::vector<LayerCache> layers;

  KvCache() = default;
  KvCache(int64_t depth, int64_t batch, int64_t heads, int64_t capacity, int64_t head_dim,
          const at::TensorOptions& options);
  /// Bytes it holds.
  int64_t bytes() const;
};

}  // namespace tessera::nn
