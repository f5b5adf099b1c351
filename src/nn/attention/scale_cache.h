// The cache of pictures that grow scale by scale: all rows have the same positions, and see all of them.
#pragma once

#include <vector>

#include "nn/attention/kv_cache.h"

namespace tessera::nn {

class ScaleCache final : public KvCache {
 public:
  ScaleCache() = default;
  /// Allocated once at full capacity, so that appending copies only what is new.
  ScaleCache(int64_t depth, int64_t batch, int64_t heads, int64_t capacity, int64_t head_dim,
             const at::TensorOptions& options);

  /// q, k and v [B, H, n, head_dim] -> [B, n, H * head_dim].
  Tensor attend(size_t layer, const Tensor& q, const Tensor& k, const Tensor& v, const AttendOptions& options) override;
  int64_t bytes() const override;

 private:
  struct Layer {
    Tensor keys, values;  // [B, H, capacity, head_dim]
    int64_t length = 0;   // positions that are filled
  };
  std::vector<Layer> layers_;
};

}  // namespace tessera::nn
