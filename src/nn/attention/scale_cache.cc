// The cache is allocated once at full capacity, so that appending copies only what is new.
#include "nn/attention/scale_cache.h"

#include <ATen/ops/empty.h>

namespace tessera::nn {

std::pair<Tensor, Tensor> LayerCache::append(const Tensor& new_keys, const Tensor& new_values) {
  const int64_t end = length + new_keys.size(2);
  TORCH_INTERNAL_ASSERT(end <= keys.size(2), "cache of ", keys.size(2), " positions cannot hold ", end);
  keys.slice(2, length, end).copy_(new_keys);
  values.slice(2, length, end).copy_(new_values);
  length = end;
  return {keys.slice(2, 0, end), values.slice(2, 0, end)};
}

KvCache::KvCache(int64_t depth, int64_t batch, int64_t heads, int64_t capacity, int64_t head_dim,
                 const at::TensorOptions& options) {
  for (int64_t i = 0; i < depth; ++i) {
    layers.push_back({at::empty({batch, heads, capacity, head_dim}, options),
                      at::empty({batch, heads, capacity, head_dim}, options)});
  }
}

int64_t KvCache::bytes() const {
  int64_t total = 0;
  for (const LayerCache& layer : layers) total += static_cast<int64_t>(layer.keys.nbytes() + layer.values.nbytes());
  return total;
}

}  // namespace tessera::nn
