// New positions are written behind those that are there.
#include "nn/attention/scale_cache.h"

#include <ATen/ops/empty.h>

#include "nn/attention/attention.h"

namespace tessera::nn {

ScaleCache::ScaleCache(int64_t depth, int64_t batch, int64_t heads, int64_t capacity, int64_t head_dim,
                       const at::TensorOptions& options) {
  for (int64_t i = 0; i < depth; ++i) {
    layers_.push_back({at::empty({batch, heads, capacity, head_dim}, options),
                       at::empty({batch, heads, capacity, head_dim}, options)});
  }
}

Tensor ScaleCache::attend(size_t index, const Tensor& q, const Tensor& k, const Tensor& v,
                          const AttendOptions& options) {
  Layer& layer = layers_.at(index);
  const int64_t end = layer.length + k.size(2), room = layer.keys.size(2);
  TORCH_INTERNAL_ASSERT(end <= room, "cache of ", room, " positions cannot hold ", end);
  layer.keys.slice(2, layer.length, end).copy_(k);
  layer.values.slice(2, layer.length, end).copy_(v);
  layer.length = end;
  return nn::attend(q, layer.keys.slice(2, 0, end), layer.values.slice(2, 0, end), {}, options.scale);
}

int64_t ScaleCache::bytes() const {
  int64_t total = 0;
  for (const Layer& layer : layers_) total += static_cast<int64_t>(layer.keys.nbytes() + layer.values.nbytes());
  return total;
}

}  // namespace tessera::nn
