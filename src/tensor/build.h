// Making the tensors of a module: on which device, and how they start. Modules call empty_weight() in their constructors;
// a BuildDevice guard around a constructor puts them on a card, or on the meta device, where nothing is allocated.
#pragma once

#include <ATen/core/Tensor.h>

#include "core/rng.h"
#include "tensor/tensor.h"

namespace tessera {

/// While it lives, modules built on this thread get their tensors on `device`.
class BuildDevice {
 public:
  explicit BuildDevice(at::Device device);
  ~BuildDevice();
  BuildDevice(const BuildDevice&) = delete;
  BuildDevice& operator=(const BuildDevice&) = delete;

 private:
  at::Device previous_;
};

/// An fp32 tensor with undefined values on the current build device.
Tensor empty_weight(at::IntArrayRef shape);
/// An fp32 tensor filled with `value` on the current build device.
Tensor constant_weight(at::IntArrayRef shape, double value);

/// Overwrites `weight` with normal numbers of deviation `std`, cut at two deviations. A pure function of `rng`.
void fill_truncated_normal(Tensor weight, double std, Rng rng);
/// Overwrites `weight` with uniform numbers in [-bound, bound). A pure function of `rng`.
void fill_uniform(Tensor weight, double bound, Rng rng);

}  // namespace tessera
