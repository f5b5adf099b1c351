// New positions are written behind those that are there.
#include "nn/attention/scale_cache.h"

#include <ATen/ops/empty.h>

#include "nn/attention/attention.h"

namespace tessera::nn {

ScaleCache::ScaleCache(int64_t depth, int64_t batch, int64_t heads, int64_t capacity, int64_t head_dim,
                       const at::TensorOptions& options, at::ScalarType kept) {
  const auto numbers = [&] {
    Numbers n{at::empty({batch, heads, capacity, head_dim}, options.dtype(kept)), {}};
    if (kept == at::kChar) n.scales = at::empty({batch, heads, capacity, 1}, options.dtype(at::kFloat));
    return n;
  };
  for (int64_t i = 0; i < depth; ++i) layers_.push_back({numbers(), numbers()});
}

void ScaleCache::Numbers::put(int64_t begin, int64_t end, const Tensor& x) {
  const Tensor place = numbers.slice(2, begin, end);
  if (!present(scales)) {
    place.copy_(x);
    return;
  }
  constexpr double largest = 127, least = 1e-30;
  const Tensor scale = x.abs().amax({-1}, /*keepdim=*/true).to(at::kFloat).div_(largest).clamp_min_(least);
  scales.slice(2, begin, end).copy_(scale);
  place.copy_((x / scale).round_());
}

Tensor ScaleCache::Numbers::with(int64_t end, const Tensor& x) const {
  const int64_t begin = end - x.size(2);
  const bool as_it_is = numbers.scalar_type() == x.scalar_type();
  if (as_it_is && end <= numbers.size(2)) return numbers.slice(2, 0, end);
  if (begin == 0) return x;
  const Tensor all = at::empty({x.size(0), x.size(1), end, x.size(3)}, x.options());
  const Tensor before = all.slice(2, 0, begin);
  before.copy_(numbers.slice(2, 0, begin));
  if (present(scales)) before.mul_(scales.slice(2, 0, begin));
  all.slice(2, begin, end).copy_(x);
  return all;
}

void ScaleCache::Numbers::keep_rows(int64_t rows) {
  if (rows == numbers.size(0)) return;
  numbers = numbers.slice(0, 0, rows).clone();
  if (present(scales)) scales = scales.slice(0, 0, rows).clone();
}

int64_t ScaleCache::Numbers::bytes() const {
  return static_cast<int64_t>(numbers.nbytes() + (present(scales) ? scales.nbytes() : 0));
}

Tensor ScaleCache::attend(size_t index, const Tensor& q, const Tensor& k, const Tensor& v,
                          const AttendOptions& options) {
  Layer& layer = layers_.at(index);
  const int64_t end = layer.length + k.size(2);
  if (end <= layer.keys.numbers.size(2)) {
    layer.keys.put(layer.length, end, k);
    layer.values.put(layer.length, end, v);
  }
  const Tensor keys = layer.keys.with(end, k), values = layer.values.with(end, v);
  const int64_t scale = local_.radius > 0 ? local_.scale_of(layer.length, k.size(2)) : -1;
  layer.length = end;
  if (scale >= 0) return attend_locally(q, keys, values, local_, scale, options.scale);
  return nn::attend(q, keys, values, {}, options.scale);
}

void ScaleCache::keep_rows(int64_t rows) {
  for (Layer& layer : layers_) {
    layer.keys.keep_rows(rows);
    layer.values.keep_rows(rows);
  }
}

int64_t ScaleCache::bytes() const {
  int64_t total = 0;
  for (const Layer& layer : layers_) total += layer.keys.bytes() + layer.values.bytes();
  return total;
}

}  // namespace tessera::nn
