// Rounding, the two ways to multiply, and the autograd function.
#include "nn/layers/fp8.h"

#include <atomic>
#include <limits>

#include <ATen/autocast_mode.h>
#include <ATen/ops/_scaled_mm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/log.h"

namespace tessera::nn {

namespace {
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Fp8 rounded(const Tensor& t, at::ScalarType type, double largest) {
  const Tensor wide = t.detach().to(at::kFloat);
  const Tensor peak =
      wide.numel() == 0 ? wide.sum() : at::linalg_vector_norm(wide, std::numeric_limits<double>::infinity());
  const Tensor scale = at::where(peak.gt(0), peak / largest, at::ones_like(peak));
  // the quotient may pass the largest number by a rounding; beyond it the conversion gives NaN
  return {(wide / scale).clamp_(-largest, largest).to(type), scale};
}

/// Off after the first refusal: a card without 8-bit products, or one that wants another layout.
std::atomic<bool> device_multiplies{true};

/// Numbers [m, k] with k filled up with zeros to a multiple of 16, in rows: what the device's products want.
Tensor in_whole_pieces(const Tensor& numbers) {
  const int64_t missing = (16 - numbers.size(1) % 16) % 16;
  const Tensor rows = numbers.contiguous();
  return missing == 0 ? rows : at::constant_pad_nd(rows.view(at::kByte), {0, missing}, 0).view(rows.scalar_type());
}

/// a [m, k] b [n, k]^T -> [m, n] in `format`.
Tensor product(const Fp8& a, const Fp8& b, at::ScalarType format) {
  if (a.numbers.is_cuda() && b.numbers.size(0) % 16 == 0 && device_multiplies) {
    try {
      return at::_scaled_mm(in_whole_pieces(a.numbers), in_whole_pieces(b.numbers).t(), a.scale, b.scale, {}, {},
                            format);
    } catch (const c10::Error& error) {
      device_multiplies = false;
      log_warning("[fp8] this card does not multiply 8-bit numbers; going on in fp32 ({})",
                  std::string(error.what_without_backtrace()).substr(0, 80));
    }
  }
  return (at::matmul(a.numbers.to(at::kFloat), b.numbers.to(at::kFloat).t()) * (a.scale * b.scale)).to(format);
}

Fp8 transposed(const Fp8& m) { return {m.numbers.t(), m.scale}; }

/// The sums stay in fp32 under autocast too.
class WithoutAutocast {
 public:
  explicit WithoutAutocast(at::DeviceType type) : type_(type), before_(at::autocast::is_autocast_enabled(type)) {
    at::autocast::set_autocast_enabled(type_, false);
  }
  ~WithoutAutocast() { at::autocast::set_autocast_enabled(type_, before_); }

 private:
  at::DeviceType type_;
  bool before_;
};

struct Fp8Linear : torch::autograd::Function<Fp8Linear> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight) {
    const WithoutAutocast wide(x.device().type());
    const Fp8 flat = rounded_to_e4m3(x.reshape({-1, x.size(-1)}));
    context->save_for_backward({flat.numbers, flat.scale, weight});
    context->saved_data["shape"] = x.sizes().vec();
    context->saved_data["type"] = static_cast<int64_t>(x.scalar_type());
    auto shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return product(flat, rounded_to_e4m3(weight), x.scalar_type()).reshape(shape);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Fp8 x{saved[0], saved[1]};
    const Tensor& weight = saved[2];
    const WithoutAutocast wide(weight.device().type());
    const Fp8 gradient = rounded_to_e5m2(gradients[0].reshape({-1, weight.size(0)}));  // [rows, out]
    Tensor to_x, to_weight;
    if (context->needs_input_grad(0)) {
      const auto type = static_cast<at::ScalarType>(context->saved_data["type"].toInt());
      to_x = product(gradient, transposed(rounded_to_e4m3(weight)), type)
                 .reshape(context->saved_data["shape"].toIntVector());
    }
    if (context->needs_input_grad(1)) to_weight = product(transposed(gradient), transposed(x), weight.scalar_type());
    return {to_x, to_weight};
  }
};
}  // namespace

Fp8 rounded_to_e4m3(const Tensor& t) { return rounded(t, at::kFloat8_e4m3fn, 448); }
Fp8 rounded_to_e5m2(const Tensor& t) { return rounded(t, at::kFloat8_e5m2, 57344); }

Tensor fp8_linear(const Tensor& x, const Tensor& weight) { return Fp8Linear::apply(x, weight); }

}  // namespace tessera::nn
