// The cache of pictures that grow scale by scale: all rows have the same positions, and see all of them.
#pragma once

#include <vector>

#include "nn/attention/kv_cache.h"
#include "nn/attention/local_attention.h"

namespace tessera::nn {

class ScaleCache final : public KvCache {
 public:
  ScaleCache() = default;
  /// Room for `capacity` positions, allocated once, so that appending copies only what is new. `kept`: the format of what is kept, fp32,
  /// bf16 or int8 (a scale for each position of a head). A pass that does not fit sees all before it and itself, and is not kept: the
  /// last scale's, which nobody looks at again.
  ScaleCache(int64_t depth, int64_t batch, int64_t heads, int64_t capacity, int64_t head_dim,
             const at::TensorOptions& options, at::ScalarType kept = at::kFloat);

  /// q, k and v [B, H, n, head_dim] -> [B, n, H * head_dim].
  Tensor attend(size_t layer, const Tensor& q, const Tensor& k, const Tensor& v, const AttendOptions& options) override;
  /// From now on passes of large scales see what is near alone; those that are not whole scales, and all behind such a one, see everything.
  void see_locally(LocalAttention local) { local_ = std::move(local); }
  /// Goes on with the first `rows` rows alone.
  void keep_rows(int64_t rows);
  int64_t bytes() const override;

 private:
  /// Keys or values.
  struct Numbers {
    Tensor numbers;  // [B, H, capacity, head_dim]
    Tensor scales;   // [B, H, capacity, 1]; of int8 alone

    void put(int64_t begin, int64_t end, const Tensor& x);
    /// Positions 0 to `end`, of which `x` are the last.
    Tensor with(int64_t end, const Tensor& x) const;
    void keep_rows(int64_t rows);
    int64_t bytes() const;
  };
  struct Layer {
    Numbers keys, values;
    int64_t length = 0;  // positions that are filled
  };
  std::vector<Layer> layers_;
  LocalAttention local_;
};

}  // namespace tessera::nn
