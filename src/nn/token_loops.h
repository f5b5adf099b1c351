// The inner loops of nn/token_ops.cc on plain arrays of fp32 or bfloat16: no LibTorch, so that the compiler may make
// one version per instruction set. Numbers are read into fp32, and rounded when they are written.
#pragma once

#include <cstdint>

namespace tessera::nn::loops {

/// A bfloat16: the upper half of an fp32 number.
using Half = uint16_t;

/// out = x / sqrt(mean(x^2) + eps) * (weight + offset) over one row; returns 1 / sqrt(mean(x^2) + eps).
float rms_row(const float* x, const float* weight, float offset, float eps, int64_t width, float* out);
float rms_row(const float* x, const float* weight, float offset, float eps, int64_t width, Half* out);
float rms_row(const Half* x, const float* weight, float offset, float eps, int64_t width, Half* out);
/// Writes the gradient of x, adds that of weight.
void rms_row_backward(const float* grad, const float* x, float inverse, const float* weight, float offset,
                      int64_t width, float* x_grad, float* weight_grad);
void rms_row_backward(const Half* grad, const float* x, float inverse, const float* weight, float offset, int64_t width,
                      float* x_grad, float* weight_grad);
void rms_row_backward(const Half* grad, const Half* x, float inverse, const float* weight, float offset, int64_t width,
                      Half* x_grad, float* weight_grad);

/// Turns number j of one head with number j + half by the angle whose cosine and sine are given; `direction` -1 turns
/// back.
void turn_head(const float* x, const float* cos, const float* sin, float direction, int64_t half, float* out);
void turn_head(const Half* x, const float* cos, const float* sin, float direction, int64_t half, Half* out);

/// out = gate * sigmoid(gate) * up.
void gated_silu(const float* gate, const float* up, int64_t count, float* out);
void gated_silu(const Half* gate, const Half* up, int64_t count, Half* out);
/// Gradients of that.
void gated_silu_backward(const float* grad, const float* gate, const float* up, int64_t count, float* gate_grad,
                         float* up_grad);
void gated_silu_backward(const Half* grad, const Half* gate, const Half* up, int64_t count, Half* gate_grad,
                         Half* up_grad);

}  // namespace tessera::nn::loops
