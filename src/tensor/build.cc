// Build device and deterministic initial values: drawn on the CPU by counter, so every device starts from the same weights.
#include "tensor/build.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <cmath>
#include <numbers>

#include "core/error.h"

namespace tessera {

namespace {
thread_local at::Device build_device{at::kCPU};

template <class Draw> void fill(Tensor& weight, Draw draw) {
  const at::NoGradGuard no_grad;
  Tensor values = at::empty(weight.sizes(), at::kFloat);
  float* data = values.mutable_data_ptr<float>();
  for (int64_t i = 0; i < values.numel(); ++i) data[i] = static_cast<float>(draw());
  weight.copy_(values);
}
}  // namespace

BuildDevice::BuildDevice(at::Device device) : previous_(std::exchange(build_device, device)) {}
BuildDevice::~BuildDevice() { build_device = previous_; }

Tensor empty_weight(at::IntArrayRef shape) {
  return at::empty(shape, at::TensorOptions(at::kFloat).device(build_device));
}
Tensor constant_weight(at::IntArrayRef shape, double value) {
  return at::full(shape, value, at::TensorOptions(at::kFloat).device(build_device));
}

void fill_truncated_normal(Tensor weight, double std, Rng rng) {
  const auto normal = [&] {  // Box-Muller
    return std::sqrt(-2 * std::log1p(-rng.uniform())) * std::cos(2 * std::numbers::pi * rng.uniform());
  };
  fill(weight, [&] {
    double value = normal();
    while (std::abs(value) > 2) value = normal();
    return std * value;
  });
}

void fill_uniform(Tensor weight, double bound, Rng rng) {
  fill(weight, [&] { return rng.uniform(-bound, bound); });
}

}  // namespace tessera
