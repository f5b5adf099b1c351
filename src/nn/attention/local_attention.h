// Attention of a picture's last scales to what is near: tile by tile, each tile sees small scales whole and of large ones the part around it.
// Published for Infinity's last scales, where attention falls off with distance (SparVAR, arXiv 2602.04361).
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace tessera::nn {

struct LocalAttention {
  int64_t radius = 0;  // tokens of the scale that looks, around a tile; 0: attention to everything
  std::vector<std::pair<int64_t, int64_t>> grids;  // rows and columns of all scales

  static constexpr int64_t seen_whole = 256;  // scales of so many tokens
  static constexpr int64_t tile = 16;         // its edge

  /// Which scale has `count` new positions behind `begin` others, all scales being whole; -1 where none has, or where it is small.
  int64_t scale_of(int64_t begin, int64_t count) const;
};

/// q [B, H, n, D] of scale k, keys and values [B, H, all positions up to and with k, D] -> [B, n, H * D].
Tensor attend_locally(const Tensor& q, const Tensor& keys, const Tensor& values, const LocalAttention& local, int64_t k,
                      double scale);

}  // namespace tessera::nn
