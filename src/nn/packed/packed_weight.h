// A weight in few bits behind one interface, which is all that layers, adapters, loading and saving know of it. A further format
// is a class derived from PackedWeight and a PackedFormat (packed_format.h).
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "nn/kernels/row_product.h"
#include "tensor/module.h"

namespace tessera::nn {

/// W [out, in] in a packed form. Never changes once it is made, so copies of a module share it.
class PackedWeight {
 public:
  virtual ~PackedWeight() = default;

  /// The format's short name for reports: "int4", "int8".
  virtual std::string_view format() const = 0;
  virtual int64_t out() const = 0;
  virtual int64_t in() const = 0;

  /// x [..., in] -> x W^T [..., out] in the format of x, without a tape; linear() below is what carries gradients.
  virtual Tensor product(const Tensor& x) const = 0;
  /// The product of a few rows on plain memory; null where there is no kernel for it. Lives as long as this weight or longer.
  virtual std::shared_ptr<const RowProduct> row_product() const { return nullptr; }
  /// Rows first to first + count of W, fp32 [count, in].
  virtual Tensor rows(int64_t first, int64_t count) const = 0;

  /// The tensors that it consists of, under short names.
  virtual std::vector<NamedTensor> parts() const = 0;
  /// What files hold of a layer X: each tensor's name is what follows X (".qweight").
  virtual std::vector<NamedTensor> stored() const = 0;
  /// The same weight on another device.
  virtual std::shared_ptr<const PackedWeight> to(at::Device device) const = 0;

  /// The whole of W, fp32 [out, in].
  Tensor unpack() const { return rows(0, out()); }
  /// Of all its tensors.
  int64_t bytes() const;
  at::Device device() const { return parts().front().tensor.device(); }
};

/// Lists the parts by handles of their own: numbers can be read and written through them, the handles themselves stay.
template <class V> void tensors(V& v, const PackedWeight& m) {
  for (NamedTensor& part : m.parts()) v(part.name, part.tensor);
}

/// x [..., in] -> x W^T [..., out] in the format of x, with dL/dx = dL/dy W in the backward pass, where W is unpacked again:
/// the tape holds the packed weight alone. Rounding of activations passes gradients straight through.
Tensor linear(const Tensor& x, const std::shared_ptr<const PackedWeight>& weight);

}  // namespace tessera::nn
