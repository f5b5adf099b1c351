// Angles are computed in double and kept in fp32; the turn itself is a complex product written out in reals.
#include "nn/attention/rope.h"

#include <algorithm>

#include <cmath>

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/stack.h>
#include <c10/core/InferenceMode.h>

namespace tessera::nn {

int64_t rope_index(int64_t i, int64_t span, int64_t count) {
  const int64_t whole = i * span / count, twice_rest = 2 * (i * span % count);
  const bool up = twice_rest > count || (twice_rest == count && whole % 2 == 1);
  return whole + (up ? 1 : 0);
}

Rope2d rope_2d(const std::vector<RopeGrid>& grids, int64_t head_dim, at::Device device, double theta) {
  const int64_t pairs = head_dim / 4;  // per axis
  int64_t length = 0;
  for (const RopeGrid& grid : grids) length += grid.rows * grid.columns;

  Tensor cos = at::empty({length, 2 * pairs}), sin = at::empty({length, 2 * pairs});
  float* c = cos.mutable_data_ptr<float>();
  float* s = sin.mutable_data_ptr<float>();
  for (const RopeGrid& grid : grids) {
    for (int64_t place = 0; place < grid.rows * grid.columns; ++place) {
      const int64_t row = rope_index(place / grid.columns, grid.row_span, grid.rows);
      const int64_t column = rope_index(place % grid.columns, grid.column_span, grid.columns);
      for (int64_t j = 0; j < 2 * pairs; ++j) {
        const double frequency = std::pow(theta, -static_cast<double>(j % pairs) / static_cast<double>(pairs));
        const double angle = static_cast<double>(j < pairs ? row : column) * frequency;
        *c++ = static_cast<float>(std::cos(angle));
        *s++ = static_cast<float>(std::sin(angle));
      }
    }
  }
  return {cos.to(device), sin.to(device)};
}

Tensor rotate(const Tensor& x, const Rope2d& rope) {
  const Tensor pairs = x.unflatten(-1, {x.size(-1) / 2, 2});  // [B, L, H, head_dim / 2, 2]
  const Tensor even = pairs.select(-1, 0), odd = pairs.select(-1, 1);
  const Tensor cos = rope.cos.unsqueeze(1), sin = rope.sin.unsqueeze(1);  // [L, 1, head_dim / 2]
  return at::stack({even * cos - odd * sin, even * sin + odd * cos}, -1).flatten(-2);
}

Tensor rope_frequencies(int64_t head_dim, double theta) {
  const Tensor exponents = at::arange(0, head_dim, 2, at::kFloat) / head_dim;
  return at::pow(at::Scalar(theta), exponents).reciprocal();
}

Rope1d rope_1d(const Tensor& positions, const Tensor& frequencies) {
  const Tensor angles = positions.to(at::kFloat).unsqueeze(-1) * frequencies;  // [B or 1, L, head_dim / 2]
  return {angles.cos(), angles.sin()};
}

Rope1d RotaryTable::rows(int64_t end, at::Device device) const {
  const std::lock_guard<std::mutex> lock(growing_);
  Rope1d& table = tables_[device.str()];
  if (!present(table.cos) || table.cos.size(1) < end) {
    const c10::InferenceMode ordinary(false);  // what writing makes here, training may read later
    constexpr int64_t least = 1024;
    const int64_t room = std::max({least, end, present(table.cos) ? 2 * table.cos.size(1) : 0});
    table =
        rope_1d(at::arange(room, at::TensorOptions(at::kLong).device(device)).unsqueeze(0), frequencies_.to(device));
    if (factor_ != 1) table = {table.cos * factor_, table.sin * factor_};
  }
  return table;
}

Rope1d RotaryTable::at(const Tensor& positions, int64_t end) const {
  const Rope1d table = rows(end, positions.device());
  const auto taken = [&](const Tensor& t) {
    return t.squeeze(0).index_select(0, positions.flatten()).view({positions.size(0), positions.size(1), t.size(2)});
  };
  return {taken(table.cos), taken(table.sin)};
}

Rope1d RotaryTable::range(int64_t begin, int64_t end, at::Device device) const {
  const Rope1d table = rows(end, device);
  return {table.cos.slice(1, begin, end), table.sin.slice(1, begin, end)};
}

}  // namespace tessera::nn
