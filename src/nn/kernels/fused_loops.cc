// Sums run in fp32 in an order that the compiler may choose per instruction set, never per thread count.
#include "nn/kernels/fused_loops.h"

#include <algorithm>
#include <cmath>

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define TESSERA_EACH_CPU __attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3", "fast-math")))
#else
#define TESSERA_EACH_CPU
#endif

namespace tessera::nn::loops {

TESSERA_EACH_CPU float normalise_and_rotate(const float* __restrict x, const float* __restrict cos,
                                            const float* __restrict sin, float scale, int64_t pairs,
                                            float* __restrict out) {
  float square = 0;
  for (int64_t i = 0; i < 2 * pairs; ++i) square += x[i] * x[i];
  const float inverse = 1 / std::max(std::sqrt(square), 1e-12f);
  const float factor = inverse * scale;
  for (int64_t j = 0; j < pairs; ++j) {
    const float even = x[2 * j] * factor, odd = x[2 * j + 1] * factor;
    out[2 * j] = even * cos[j] - odd * sin[j];
    out[2 * j + 1] = even * sin[j] + odd * cos[j];
  }
  return inverse;
}

TESSERA_EACH_CPU void normalise_and_rotate_backward(const float* __restrict grad, const float* __restrict x,
                                                    float inverse, const float* __restrict cos,
                                                    const float* __restrict sin, float scale, int64_t pairs,
                                                    float* __restrict x_grad, float* __restrict scale_grad) {
  float along = 0;  // of the turned-back gradient along x / |x|
  for (int64_t j = 0; j < pairs; ++j) {
    const float even = grad[2 * j] * cos[j] + grad[2 * j + 1] * sin[j];
    const float odd = grad[2 * j + 1] * cos[j] - grad[2 * j] * sin[j];
    x_grad[2 * j] = even;
    x_grad[2 * j + 1] = odd;
    along += even * x[2 * j] + odd * x[2 * j + 1];
  }
  along *= inverse;
  *scale_grad += along;
  const float factor = scale * inverse, back = along * inverse;
  for (int64_t i = 0; i < 2 * pairs; ++i) x_grad[i] = factor * (x_grad[i] - back * x[i]);
}

TESSERA_EACH_CPU Moments modulate_row(const float* __restrict x, const float* __restrict scale,
                                      const float* __restrict shift, float eps, int64_t width, float* __restrict out) {
  float sum = 0;
  for (int64_t i = 0; i < width; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(width);
  float square = 0;
  for (int64_t i = 0; i < width; ++i) square += (x[i] - mean) * (x[i] - mean);
  const float inverse = 1 / std::sqrt(square / static_cast<float>(width) + eps);
  for (int64_t i = 0; i < width; ++i) out[i] = (x[i] - mean) * inverse * (1 + scale[i]) + shift[i];
  return {mean, inverse};
}

TESSERA_EACH_CPU void modulate_row_backward(const float* __restrict grad, const float* __restrict x, Moments moments,
                                            const float* __restrict scale, int64_t width, float* __restrict x_grad,
                                            float* __restrict scale_grad, float* __restrict shift_grad) {
  const float mean = moments.mean, inverse = moments.inverse_deviation;
  float sum = 0, along = 0;
  for (int64_t i = 0; i < width; ++i) {
    const float normal = (x[i] - mean) * inverse, inner = grad[i] * (1 + scale[i]);
    scale_grad[i] += grad[i] * normal;
    shift_grad[i] += grad[i];
    sum += inner;
    along += inner * normal;
  }
  sum /= static_cast<float>(width);
  along /= static_cast<float>(width);
  for (int64_t i = 0; i < width; ++i) {
    const float normal = (x[i] - mean) * inverse;
    x_grad[i] = inverse * (grad[i] * (1 + scale[i]) - sum - normal * along);
  }
}

TESSERA_EACH_CPU void gate_row(const float* __restrict x, const float* __restrict gate, const float* __restrict y,
                               int64_t width, float* __restrict out) {
  for (int64_t i = 0; i < width; ++i) out[i] = x[i] + gate[i] * y[i];
}

TESSERA_EACH_CPU void gate_row_backward(const float* __restrict grad, const float* __restrict gate,
                                        const float* __restrict y, int64_t width, float* __restrict y_grad,
                                        float* __restrict gate_grad) {
  for (int64_t i = 0; i < width; ++i) {
    y_grad[i] = grad[i] * gate[i];
    gate_grad[i] += grad[i] * y[i];
  }
}

}  // namespace tessera::nn::loops

#undef TESSERA_EACH_CPU
