// The tensor type and the two namespaces every numeric file uses. Include the ops you need from <ATen/ops/...>.
#pragma once

#include <ATen/core/Tensor.h>

namespace tessera {

using at::Tensor;
/// An undefined tensor stands for "absent".
inline bool present(const Tensor& t) { return t.defined(); }

}  // namespace tessera
