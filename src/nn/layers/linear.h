// The affine map every layer is made of. Weights are [out, in], as in checkpoints; packed weights and adapters are
// optional parts.
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>

#include "nn/kernels/row_linear.h"
#include "nn/packed/packed_weight.h"
#include "tensor/build.h"
#include "tensor/module.h"

namespace tessera::nn {

/// y += scale * B A x. Names are those of the PEFT format.
struct Lora {
  Tensor a;          // [rank, in]
  Tensor b;          // [out, rank], starts at zero
  double scale = 1;  // alpha / rank

  /// x [..., in] -> [..., out].
  Tensor forward(const Tensor& x) const { return product(product(x, a), b) * scale; }
};
template <class V> void tensors(V& v, Lora& m) { v("lora_A.weight", m.a), v("lora_B.weight", m.b); }

/// Sees what goes into a layer, for calibration.
class InputObserver {
 public:
  virtual ~InputObserver() = default;
  /// x [..., in].
  virtual void see(const Tensor& x) = 0;
};

struct Linear {
  Tensor weight;  // [out, in]; absent when the weight is packed
  Tensor bias;    // [out], absent when the layer has none
  std::optional<Int4Weight> int4;
  std::optional<Int8Weight> int8;
  std::optional<Lora> lora;
  bool fp8 = false;                   // the plain weight multiplies in 8-bit floating point; of a run, not of the model
  InputObserver* observer = nullptr;  // absent but while someone calibrates, who takes it away again

  Linear() = default;
  /// The weight is undefined, the bias zero.
  Linear(int64_t in, int64_t out, bool with_bias = true)
      : weight(empty_weight({out, in})), bias(with_bias ? constant_weight({out}, 0) : Tensor()) {}

  /// x [..., in] -> [..., out].
  Tensor forward(const Tensor& x) const {
    if (!int4 && !int8 && !lora && !fp8 && observer == nullptr) return product(x, weight, bias);
    return forward_with_parts(x);
  }

 private:
  Tensor forward_with_parts(const Tensor& x) const;
};
template <class V> void tensors(V& v, Linear& m) {
  v("weight", m.weight), v("bias", m.bias), v("int4", m.int4), v("int8", m.int8), v("lora", m.lora);
}

namespace detail {
template <class F> struct LinearWalker {
  F& visit;
  std::string prefix;

  template <class T> void operator()(std::string_view name, T& item) {
    walk(prefix.empty() ? std::string(name) : prefix + "." + std::string(name), item);
  }
  template <class T> void walk(const std::string& full, T& item) {
    if constexpr (std::is_same_v<T, Tensor>) {
    } else if constexpr (std::is_same_v<T, Linear>) {
      visit(full, item);
    } else if constexpr (tessera::detail::IsVector<T>::value) {
      for (size_t i = 0; i < item.size(); ++i) walk(full + "." + std::to_string(i), item[i]);
    } else if constexpr (tessera::detail::IsOptional<T>::value) {
      if (item) walk(full, *item);
    } else {
      LinearWalker inner{visit, full};
      tensors(inner, item);
    }
  }
};
}  // namespace detail

/// Calls `visit(name, Linear&)` for every linear layer of a module, in listed order.
template <HasTensors M, class F> void for_each_linear(M& module, F visit, const std::string& prefix = "") {
  detail::LinearWalker<F> walker{visit, prefix};
  tensors(walker, module);
}

struct FeedForward {
  Linear fc1, fc2;

  FeedForward() = default;
  FeedForward(int64_t width, int64_t hidden) : fc1(width, hidden), fc2(hidden, width) {}

  /// x [..., width] -> [..., width].
  Tensor forward(const Tensor& x) const { return fc2.forward(at::gelu(fc1.forward(x), "tanh")); }
};
template <class V> void tensors(V& v, FeedForward& m) { v("fc1", m.fc1), v("fc2", m.fc2); }

}  // namespace tessera::nn
