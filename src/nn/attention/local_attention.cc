// A window on a coarser scale is the same part of the picture, rounded outwards.
#include "nn/attention/local_attention.h"

#include <algorithm>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include "nn/attention/attention.h"

namespace tessera::nn {

namespace {

struct Span {
  int64_t begin, end;
};

/// The rows (or columns) of a grid of `count` that lie around [begin, end) of one of `own`, `radius` of its units further.
Span window(Span tile, int64_t radius, int64_t own, int64_t count) {
  const int64_t begin = std::max<int64_t>(0, tile.begin - radius), end = std::min(own, tile.end + radius);
  return {begin * count / own, (end * count + own - 1) / own};
}

/// Positions [B, H, rows, columns, D] in a window, one after the other.
Tensor part(const Tensor& grid, Span rows, Span columns) {
  return grid.slice(2, rows.begin, rows.end).slice(3, columns.begin, columns.end).flatten(2, 3);
}

}  // namespace

int64_t LocalAttention::scale_of(int64_t begin, int64_t count) const {
  int64_t sum = 0;
  for (size_t k = 0; k < grids.size(); ++k) {
    const int64_t area = grids[k].first * grids[k].second;
    if (sum == begin && area == count) return area > seen_whole ? static_cast<int64_t>(k) : -1;
    sum += area;
  }
  return -1;
}

Tensor attend_locally(const Tensor& q, const Tensor& keys, const Tensor& values, const LocalAttention& local, int64_t k,
                      double scale) {
  const auto [height, width] = local.grids[static_cast<size_t>(k)];
  const Tensor queries = q.unflatten(2, {height, width});
  const Tensor out = at::empty({q.size(0), height, width, q.size(1) * q.size(3)}, q.options());
  std::vector<Tensor> key_grids, value_grids;
  int64_t begin = 0;
  for (int64_t s = 0; s <= k; ++s) {
    const auto [rows, columns] = local.grids[static_cast<size_t>(s)];
    key_grids.push_back(keys.slice(2, begin, begin + rows * columns).unflatten(2, {rows, columns}));
    value_grids.push_back(values.slice(2, begin, begin + rows * columns).unflatten(2, {rows, columns}));
    begin += rows * columns;
  }
  for (int64_t top = 0; top < height; top += LocalAttention::tile) {
    for (int64_t left = 0; left < width; left += LocalAttention::tile) {
      const Span rows{top, std::min(height, top + LocalAttention::tile)};
      const Span columns{left, std::min(width, left + LocalAttention::tile)};
      std::vector<Tensor> near_keys, near_values;
      for (size_t s = 0; s < key_grids.size(); ++s) {
        const int64_t h = key_grids[s].size(2), w = key_grids[s].size(3);
        const bool whole = h * w <= LocalAttention::seen_whole;
        const Span r = whole ? Span{0, h} : window(rows, local.radius, height, h);
        const Span c = whole ? Span{0, w} : window(columns, local.radius, width, w);
        near_keys.push_back(part(key_grids[s], r, c));
        near_values.push_back(part(value_grids[s], r, c));
      }
      const Tensor tile =
          attend(part(queries, rows, columns), at::cat(near_keys, 2), at::cat(near_values, 2), {}, scale);
      out.slice(1, rows.begin, rows.end)
          .slice(2, columns.begin, columns.end)
          .copy_(tile.unflatten(1, {rows.end - rows.begin, columns.end - columns.begin}));
    }
  }
  return out.flatten(1, 2);
}

}  // namespace tessera::nn
