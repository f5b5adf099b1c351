// Buffers with room to spare along the positions; appending copies only what is new until the room is used up.
#include "nn/attention/token_cache.h"

#include <algorithm>
#include <array>

#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include "core/error.h"

namespace tessera::nn {

namespace {

/// A buffer for `capacity` positions that begins with the first `length` of `old` (which may be absent).
Tensor with_room(const Tensor& old, int64_t length, at::IntArrayRef sizes, const at::TensorOptions& options) {
  Tensor fresh = at::empty(sizes, options);
  if (length > 0) fresh.narrow(2, 0, length).copy_(old.narrow(2, 0, length));
  return fresh;
}

/// Writes x [B, H, n, head_dim] as 8-bit integers and their scales at `begin`.
void write_int8(const Tensor& x, Tensor& values, Tensor& scales, int64_t begin) {
  const int64_t count = x.size(2);
  const Tensor scale = x.abs().amax(-1, true).to(at::kFloat).div_(127);  // [B, H, n, 1]
  scales.narrow(2, begin, count).copy_(scale);
  // A position of zeros has scale 0; dividing by the smallest normal number instead keeps its integers 0.
  values.narrow(2, begin, count).copy_(x.to(at::kFloat).div(scale.clamp_min(1.2e-38)).round_().clamp_(-127, 127));
}

Tensor read_int8(const Tensor& values, const Tensor& scales, int64_t length, at::ScalarType type) {
  return values.narrow(2, 0, length).to(at::kFloat).mul_(scales.narrow(2, 0, length)).to(type);
}

}  // namespace

TokenCache::TokenCache(const TokenCacheOptions& options) : options_(options) {
  if (options.depth < 0) throw UserError("[cache] depth is {}, want at least 0", options.depth);
  if (options.block < 1) throw UserError("[cache] block is {}, want at least 1", options.block);
  layers_.resize(static_cast<size_t>(options.depth));
}

void TokenCache::reserve(Layer& layer, const Tensor& like, int64_t length) const {
  const int64_t room = present(layer.keys) ? layer.keys.size(2) : 0;
  if (length <= room) return;
  const int64_t wanted = std::max(length, room + std::max(options_.block, room / 2));
  const int64_t capacity = (wanted + options_.block - 1) / options_.block * options_.block;
  const std::array<int64_t, 4> sizes = {like.size(0), like.size(1), capacity, like.size(3)};
  const at::TensorOptions stored = options_.int8 ? like.options().dtype(at::kChar) : like.options();
  layer.keys = with_room(layer.keys, layer.length, sizes, stored);
  layer.values = with_room(layer.values, layer.length, sizes, stored);
  if (!options_.int8) return;
  const std::array<int64_t, 4> scale_sizes = {like.size(0), like.size(1), capacity, 1};
  const at::TensorOptions scales = like.options().dtype(at::kFloat);
  layer.key_scales = with_room(layer.key_scales, layer.length, scale_sizes, scales);
  layer.value_scales = with_room(layer.value_scales, layer.length, scale_sizes, scales);
}

std::pair<Tensor, Tensor> TokenCache::append(size_t index, const Tensor& keys, const Tensor& values) {
  Layer& layer = layers_.at(index);
  const int64_t begin = layer.length, end = begin + keys.size(2);
  reserve(layer, keys, end);
  layer.length = end;
  if (options_.int8) {
    write_int8(keys, layer.keys, layer.key_scales, begin);
    write_int8(values, layer.values, layer.value_scales, begin);
    return {read_int8(layer.keys, layer.key_scales, end, keys.scalar_type()),
            read_int8(layer.values, layer.value_scales, end, values.scalar_type())};
  }
  layer.keys.narrow(2, begin, keys.size(2)).copy_(keys);
  layer.values.narrow(2, begin, values.size(2)).copy_(values);
  return {layer.keys.narrow(2, 0, end), layer.values.narrow(2, 0, end)};
}

void TokenCache::keep(const Tensor& rows) {
  const auto kept = [&rows](Tensor& buffer, int64_t length) {
    if (!present(buffer)) return;
    Tensor fresh = at::empty({rows.numel(), buffer.size(1), buffer.size(2), buffer.size(3)}, buffer.options());
    fresh.narrow(2, 0, length).copy_(at::index_select(buffer.narrow(2, 0, length), 0, rows.to(buffer.device())));
    buffer = fresh;
  };
  for (Layer& layer : layers_) {
    for (Tensor* buffer : {&layer.keys, &layer.values, &layer.key_scales, &layer.value_scales}) {
      kept(*buffer, layer.length);
    }
  }
}

void TokenCache::truncate(int64_t length) {
  for (Layer& layer : layers_) layer.length = std::clamp<int64_t>(length, 0, layer.length);
}

int64_t TokenCache::bytes() const {
  int64_t total = 0;
  for (const Layer& layer : layers_) {
    for (const Tensor* buffer : {&layer.keys, &layer.values, &layer.key_scales, &layer.value_scales}) {
      if (present(*buffer)) total += static_cast<int64_t>(buffer->nbytes());
    }
  }
  return total;
}

}  // namespace tessera::nn
