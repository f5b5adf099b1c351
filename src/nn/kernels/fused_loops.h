// The inner loops of nn/kernels/fused.cc on plain arrays: no LibTorch, so that the compiler may make one version per instruction set.
#pragma once

#include <cstdint>

namespace tessera::nn::loops {

/// Writes turn(scale * x / |x|) for one head; returns 1 / |x|.
float normalise_and_rotate(const float* x, const float* cos, const float* sin, float scale, int64_t pairs, float* out);
/// Gradient of that with respect to x; adds the gradient of scale to `scale_grad`.
void normalise_and_rotate_backward(const float* grad, const float* x, float inverse, const float* cos, const float* sin,
                                   float scale, int64_t pairs, float* x_grad, float* scale_grad);

struct Moments {
  float mean, inverse_deviation;
};
/// out = (x - mean) / deviation * (1 + scale) + shift over one row.
Moments modulate_row(const float* x, const float* scale, const float* shift, float eps, int64_t width, float* out);
/// Gradients of that; adds to those of scale and shift, writes that of x.
void modulate_row_backward(const float* grad, const float* x, Moments moments, const float* scale, int64_t width,
                           float* x_grad, float* scale_grad, float* shift_grad);

/// out = x + gate * y.
void gate_row(const float* x, const float* gate, const float* y, int64_t width, float* out);
/// y_grad = grad * gate; adds grad * y to gate_grad.
void gate_row_backward(const float* grad, const float* gate, const float* y, int64_t width, float* y_grad,
                       float* gate_grad);

}  // namespace tessera::nn::loops
