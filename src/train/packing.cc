// First fit, decreasing; and the rows that come of it.
#include "train/packing.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>

namespace tessera::train {

std::vector<std::vector<size_t>> pack(const std::vector<int64_t>& lengths, int64_t room) {
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return lengths[i]; });
  std::vector<std::vector<size_t>> rows;
  std::vector<int64_t> left;
  for (const size_t i : order) {
    size_t row = 0;
    while (row < rows.size() && left[row] < lengths[i]) ++row;
    if (row == rows.size()) {
      rows.emplace_back();
      left.push_back(room);
    }
    rows[row].push_back(i);
    left[row] -= lengths[i];
  }
  return rows;
}

PackedRows packed_rows(const std::vector<Sequence>& sequences, int64_t room, bool together) {
  std::vector<int64_t> lengths;
  for (const Sequence& each : sequences) lengths.push_back(std::ssize(each.ids));
  std::vector<std::vector<size_t>> rows;
  if (together) rows = pack(lengths, room);
  else
    for (size_t i = 0; i < sequences.size(); ++i) rows.push_back({i});

  const int64_t used = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  const int64_t longest = *std::ranges::max_element(lengths);
  int64_t length = 0;
  for (const auto& row : rows) {
    int64_t sum = 0;
    for (const size_t i : row) sum += lengths[i];
    length = std::max(length, sum);
  }
  PackedRows packed;
  packed.ids = at::zeros({std::ssize(rows), length}, at::kLong);
  packed.targets = at::full({std::ssize(rows), length}, -1, at::kLong);
  packed.segments = at::zeros({std::ssize(rows), length}, at::kLong);
  for (size_t r = 0; r < rows.size(); ++r) {
    int64_t *ids = packed.ids[static_cast<int64_t>(r)].mutable_data_ptr<int64_t>(),
            *targets = packed.targets[static_cast<int64_t>(r)].mutable_data_ptr<int64_t>(),
            *segments = packed.segments[static_cast<int64_t>(r)].mutable_data_ptr<int64_t>();
    int64_t at = 0;
    for (size_t s = 0; s < rows[r].size(); ++s) {
      const Sequence& each = sequences[rows[r][s]];
      std::ranges::copy(each.ids, ids + at);
      std::ranges::copy(each.targets, targets + at);
      std::fill(segments + at, segments + at + std::ssize(each.ids), static_cast<int64_t>(s));
      at += std::ssize(each.ids);
    }
    std::fill(segments + at, segments + length, std::ssize(rows[r]));
  }
  const auto share = [&](int64_t places) { return 1 - static_cast<double>(used) / static_cast<double>(places); };
  packed.padding = share(std::ssize(rows) * length);
  packed.padding_unpacked = share(std::ssize(sequences) * longest);
  packed.sequences = std::move(rows);
  return packed;
}

}  // namespace tessera::train
