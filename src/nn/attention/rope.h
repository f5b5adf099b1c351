// Rotary positions on a 2-D grid. Adjacent pairs turn; the first half of the pairs by the row, the second by the column.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace tessera::nn {

/// Angles of a sequence of positions, as cosines and sines [L, head_dim / 2].
struct Rope2d {
  Tensor cos, sin;

  /// The angles of positions [begin, end).
  Rope2d slice(int64_t begin, int64_t end) const { return {cos.slice(0, begin, end), sin.slice(0, begin, end)}; }
};

/// A grid of positions: `rows` x `columns`, spread over `row_span` x `column_span` index units, so that grids of
/// different size agree on where a point of the picture lies (the "normalised by h, w" mode of Infinity).
struct RopeGrid {
  int64_t rows = 1, columns = 1;
  int64_t row_span = 1, column_span = 1;
};

/// round-half-even(i * span / count), the index that stands for place i of `count`.
int64_t rope_index(int64_t i, int64_t span, int64_t count);

/// Angles of the positions of all grids, one grid after the other, row by row. head_dim % 4 == 0.
/// Pair j of an axis turns by index * theta^(-2j / (head_dim / 2)).
Rope2d rope_2d(const std::vector<RopeGrid>& grids, int64_t head_dim, at::Device device, double theta = 10000);

/// Turns x [B, L, H, head_dim] by the angles of its L positions.
Tensor rotate(const Tensor& x, const Rope2d& rope);

/// theta^(-2j / head_dim) for j < head_dim / 2, [head_dim / 2]. In fp32, as the released models were run: at far
/// positions the rounding of a frequency shows in the angle.
Tensor rope_frequencies(int64_t head_dim, double theta);

/// Angles of positions, each [B or 1, L, head_dim / 2] fp32.
struct Rope1d {
  Tensor cos, sin;
};
/// positions [B or 1, L] int64.
Rope1d rope_1d(const Tensor& positions, const Tensor& frequencies);

/// The angles of a model's positions, computed once for each device and longer when a longer sequence comes. Safe to share
/// between threads.
class RotaryTable {
 public:
  /// frequencies [head_dim / 2]; cosines and sines are multiplied by `factor` (YaRN's attention factor).
  explicit RotaryTable(Tensor frequencies, double factor = 1) : frequencies_(std::move(frequencies)), factor_(factor) {}
  /// The angles of positions [B or 1, L] int64, each at least 0 and below `end`, on the device of `positions`.
  Rope1d at(const Tensor& positions, int64_t end) const;
  /// The angles of positions begin to end, [1, end - begin, head_dim / 2].
  Rope1d range(int64_t begin, int64_t end, at::Device device) const;

 private:
  Rope1d rows(int64_t end, at::Device device) const;
  Tensor frequencies_;
  double factor_;
  mutable std::mutex growing_;
  mutable std::map<std::string, Rope1d> tables_;  // by device, [1, positions, head_dim / 2]
};

}  // namespace tessera::nn
