// Rows by number: the table that turns token ids into vectors, and that tied heads multiply by.
#pragma once

#include <memory>
#include <vector>

#include <ATen/ops/embedding.h>
#include <ATen/ops/stack.h>

#include "nn/layers/linear.h"

namespace tessera::nn {

struct Embedding {
  Tensor weight;                               // [rows, width]; absent when it is packed
  std::shared_ptr<const PackedWeight> packed;  // in place of `weight`

  Embedding() = default;
  /// The weight is undefined.
  Embedding(int64_t rows, int64_t width) : weight(empty_weight({rows, width})) {}

  /// ids [...] int64 -> [..., width], in the table's format; fp32 when it is packed.
  Tensor forward(const Tensor& ids) const {
    if (!packed) return at::embedding(weight, ids);
    const Tensor flat = ids.reshape({-1}).to(at::kCPU).contiguous();
    std::vector<Tensor> rows;
    for (int64_t i = 0; i < flat.numel(); ++i)
      rows.push_back(packed->rows(flat.const_data_ptr<int64_t>()[i], 1).squeeze(0));
    std::vector<int64_t> shape = ids.sizes().vec();
    shape.push_back(packed->in());
    return (rows.empty() ? at::empty({0}, at::kFloat) : at::stack(rows)).view(shape);
  }
  /// The table as the weight of a linear layer without bias [rows, width].
  Linear as_linear() const {
    Linear linear;
    linear.weight = weight;
    linear.packed = packed;
    return linear;
  }
  at::Device device() const { return packed ? packed->device() : weight.device(); }
};
template <class V> void tensors(V& v, Embedding& m) {
  v("weight", m.weight);
  if (m.packed) v("packed", *m.packed);
}

}  // namespace tessera::nn
