// The affine map every layer is made of. Weights are [out, in], as in checkpoints; packed weights and adapters are
// optional parts.
#pragma once

#include <memory>
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
template <class V> void tensors(V& v, Lora& m) {
  v("lora_A.weight", m.a);
  v("lora_B.weight", m.b);
}

/// Sees what goes into a layer, for calibration.
class InputObserver {
 public:
  virtual ~InputObserver() = default;
  /// x [..., in].
  virtual void see(const Tensor& x) = 0;
};

struct Linear {
  Tensor weight;                               // [out, in]; absent when the weight is packed
  Tensor bias;                                 // [out], absent when the layer has none
  std::shared_ptr<const PackedWeight> packed;  // in place of `weight`
  std::optional<Lora> lora;
  bool fp8 = false;                   // the plain weight multiplies in 8-bit floating point; of a run, not of the model
  bool bf16_products = false;         // a 16-bit weight may multiply x in bf16; of what was loaded
  InputObserver* observer = nullptr;  // absent but while someone calibrates, who takes it away again

  Linear() = default;
  /// The weight is undefined, the bias zero.
  Linear(int64_t in, int64_t out, bool with_bias = true)
      : weight(empty_weight({out, in})), bias(with_bias ? constant_weight({out}, 0) : Tensor()) {}

  /// x [..., in] -> [..., out]. A weight in 16 bits multiplies x in fp32 as it is, in fp32 arithmetic but for `bf16_products`.
  Tensor forward(const Tensor& x) const { return forward(x, bias); }
  /// The same with another bias [out] than the layer's own; absent: none.
  Tensor forward(const Tensor& x, const Tensor& other_bias) const {
    const bool plain = !packed && !lora && !fp8 && observer == nullptr;
    return plain && !widened(x) ? product(x, weight, other_bias) : forward_with_parts(x, other_bias);
  }

  /// Whether there is a weight, plain or packed; a tied head has none.
  bool has_weight() const { return packed != nullptr || weight.defined(); }
  int64_t inputs() const { return packed ? packed->in() : weight.size(1); }
  int64_t outputs() const { return packed ? packed->out() : weight.size(0); }
  at::Device device() const { return packed ? packed->device() : weight.device(); }
  /// The weight becomes `packing`.
  void pack(std::shared_ptr<const PackedWeight> packing) {
    packed = std::move(packing);
    weight = Tensor();
  }

 private:
  /// Whether x is fp32 and the plain weight narrower.
  bool widened(const Tensor& x) const { return x.scalar_type() == at::kFloat && weight.element_size() == 2; }
  Tensor forward_with_parts(const Tensor& x, const Tensor& other_bias) const;
};
template <class V> void tensors(V& v, Linear& m) {
  v("weight", m.weight);
  v("bias", m.bias);
  if (m.packed) v("packed", *m.packed);
  v("lora", m.lora);
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
template <class V> void tensors(V& v, FeedForward& m) {
  v("fc1", m.fc1);
  v("fc2", m.fc2);
}

}  // namespace tessera::nn
