// Eight-bit integers with a scale per output, in memory as in files: `X.weight` int8 [out, in], `X.weight_scale` fp32 [out, 1].
#pragma once

#include "nn/packed/packed_weight.h"

namespace tessera::nn {

/// Symmetric 8-bit integers, one scale per output channel; activations are rounded per token as they come.
class Int8Weight final : public PackedWeight {
 public:
  Tensor values;  // [out, in] int8
  Tensor scales;  // [out] fp32

  Int8Weight(Tensor values, Tensor scales) : values(std::move(values)), scales(std::move(scales)) {}

  std::string_view format() const override { return "int8"; }
  int64_t out() const override { return values.size(0); }
  int64_t in() const override { return values.size(1); }
  /// Each row of x is rounded to 8-bit integers, its largest magnitude being 127; the integer products are exact.
  Tensor product(const Tensor& x) const override;
  Tensor rows(int64_t first, int64_t count) const override;
  std::vector<NamedTensor> parts() const override { return {{"values", values}, {"scales", scales}}; }
  std::vector<NamedTensor> stored() const override;
  std::shared_ptr<const PackedWeight> to(at::Device device) const override;
};

/// Every weight [out, in] to the nearest of 255 values per row, up to the row's largest magnitude.
Int8Weight round_int8(const Tensor& weight);

}  // namespace tessera::nn
