// A module is a plain struct of tensors and modules. It lists them once, like a config lists its fields:
//   template <class V> void tensors(V& v, Linear& m) { v("weight", m.weight), v("bias", m.bias); }
// Names joined by dots are the keys of its checkpoint; counting, saving, loading, training and EMA walk that list.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/fields.h"
#include "tensor/tensor.h"

namespace tessera {

namespace detail {
struct AnyTensorVisitor {
  template <class T> void operator()(std::string_view, T&) {}
};
}  // namespace detail

/// A struct that lists its tensors; such structs nest, also in vectors and optionals.
template <class T>
concept HasTensors = requires(detail::AnyTensorVisitor& v, T& t) {
  tensors(v, t);
};

/// A parameter with its dotted name. The tensor is a handle: writing into it writes into the module.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

namespace detail {
template <class F> struct TensorWalker {
  F& visit;
  std::string prefix;

  template <class T> void operator()(std::string_view name, T& item) {
    const std::string full = prefix.empty() ? std::string(name) : prefix + "." + std::string(name);
    walk(full, item);
  }

  template <class T> void walk(const std::string& full, T& item) {
    if constexpr (std::is_same_v<T, Tensor>) {
      if (item.defined()) visit(full, item);
    } else if constexpr (IsVector<T>::value) {
      for (size_t i = 0; i < item.size(); ++i) walk(full + "." + std::to_string(i), item[i]);
    } else if constexpr (IsOptional<T>::value) {
      if (item) walk(full, *item);
    } else {
      static_assert(HasTensors<T>, "give this module a tensors() list");
      TensorWalker inner{visit, full};
      tensors(inner, item);
    }
  }
};
}  // namespace detail

/// Calls `visit(name, Tensor&)` for every tensor of a module, in listed order; absent (undefined) ones are skipped.
template <HasTensors M, class F> void for_each_tensor(M& module, F visit, const std::string& prefix = "") {
  detail::TensorWalker<F> walker{visit, prefix};
  tensors(walker, module);
}

template <HasTensors M> std::vector<NamedTensor> named_tensors(M& module, const std::string& prefix = "") {
  std::vector<NamedTensor> all;
  for_each_tensor(
      module,
      [&](const std::string& name, Tensor& t) {
        all.push_back({name, t});
      },
      prefix);
  return all;
}

/// Number of scalars in a module. Works on the meta device, where nothing is allocated.
template <HasTensors M> int64_t count_parameters(M& module) {
  int64_t total = 0;
  for_each_tensor(module, [&](const std::string&, Tensor& t) { total += t.numel(); });
  return total;
}

}  // namespace tessera
