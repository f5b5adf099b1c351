// The inner loops of nn/kernels/token_ops.cc on plain arrays of fp32 or bfloat16: no LibTorch, so that the compiler may make
// one version per instruction set. Numbers are read into fp32, and rounded when they are written.
#pragma once

#include <cstdint>

namespace tessera::nn::loops {

/// A bfloat16: the upper half of an fp32 number.
using Bf16 = uint16_t;

/// out = x / sqrt(mean(x^2) + eps) * (weight + offset) over one row; returns 1 / sqrt(mean(x^2) + eps).
float rms_row(const float* x, const float* weight, float offset, float eps, int64_t width, float* out);
float rms_row(const float* x, const float* weight, float offset, float eps, int64_t width, Bf16* out);
float rms_row(const Bf16* x, const float* weight, float offset, float eps, int64_t width, Bf16* out);
/// Writes the gradient of x, adds that of weight.
void rms_row_backward(const float* grad, const float* x, float inverse, const float* weight, float offset,
                      int64_t width, float* x_grad, float* weight_grad);
void rms_row_backward(const Bf16* grad, const float* x, float inverse, const float* weight, float offset, int64_t width,
                      float* x_grad, float* weight_grad);
void rms_row_backward(const Bf16* grad, const Bf16* x, float inverse, const float* weight, float offset, int64_t width,
                      Bf16* x_grad, float* weight_grad);

/// Turns number j of one head with number j + half by the angle whose cosine and sine are given; `direction` -1 turns
/// back.
void rotate_head(const float* x, const float* cos, const float* sin, float direction, int64_t half, float* out);
void rotate_head(const Bf16* x, const float* cos, const float* sin, float direction, int64_t half, Bf16* out);

/// The place of the largest of x [count], count > 0; the first of equals. NaN counts as larger than any number.
int64_t index_of_largest(const float* x, int64_t count);

/// out = gate * sigmoid(gate) * up.
void gated_silu(const float* gate, const float* up, int64_t count, float* out);
void gated_silu(const Bf16* gate, const Bf16* up, int64_t count, Bf16* out);
/// out = gelu(gate) * up, with the tanh form of GELU.
void gated_gelu(const float* gate, const float* up, int64_t count, float* out);
/// Gradients of that.
void gated_silu_backward(const float* grad, const float* gate, const float* up, int64_t count, float* gate_grad,
                         float* up_grad);
void gated_silu_backward(const Bf16* grad, const Bf16* gate, const Bf16* up, int64_t count, Bf16* gate_grad,
                         Bf16* up_grad);

}  // namespace tessera::nn::loops
