// One body per loop, for both formats. Sums run in fp32 in an order that the compiler may choose per instruction set,
// never per thread count. Compiled with -O3 -ffast-math (CMakeLists.txt), so that they become wide steps.
#include "nn/kernels/token_loops.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define TESSERA_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#define TESSERA_BODY __attribute__((always_inline)) inline
#else
#define TESSERA_EACH_CPU
#define TESSERA_BODY inline
#endif

namespace tessera::nn::loops {

namespace {

TESSERA_BODY float get(float x) { return x; }
TESSERA_BODY float get(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x) << 16); }
TESSERA_BODY void put(float x, float& to) { to = x; }
/// To the nearest, to the even one of two as near.
TESSERA_BODY void put(float x, Bf16& to) {
  const auto bits = std::bit_cast<uint32_t>(x);
  to = static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

/// 1 / (1 + exp(-x)), to about 1e-6 of itself: exp by range reduction and a polynomial, without branches.
TESSERA_BODY float sigmoid(float x) {
  const float a = std::fmin(std::fmax(-x, -87.0f), 87.0f);
  const auto whole = static_cast<int32_t>(a * 1.44269504f + 128.5f) - 128;  // nearest; the sum is never negative
  const float rest = a - static_cast<float>(whole) * 0.69314718f;
  float p = 1.0f / 720;
  p = p * rest + 1.0f / 120;
  p = p * rest + 1.0f / 24;
  p = p * rest + 1.0f / 6;
  p = p * rest + 0.5f;
  p = p * rest + 1.0f;
  p = p * rest + 1.0f;
  return 1 / (1 + p * std::bit_cast<float>((whole + 127) << 23));
}

template <class In, class Out>
TESSERA_BODY float rms(const In* __restrict x, const float* __restrict weight, float offset, float eps, int64_t width,
                       Out* __restrict out) {
  float square = 0;
  for (int64_t i = 0; i < width; ++i) square += get(x[i]) * get(x[i]);
  const float inverse = 1 / std::sqrt(square / static_cast<float>(width) + eps);
  for (int64_t i = 0; i < width; ++i) put(get(x[i]) * inverse * (weight[i] + offset), out[i]);
  return inverse;
}

template <class Grad, class In>
TESSERA_BODY void rms_back(const Grad* __restrict grad, const In* __restrict x, float inverse,
                           const float* __restrict weight, float offset, int64_t width, In* __restrict x_grad,
                           float* __restrict weight_grad) {
  float along = 0;
  for (int64_t i = 0; i < width; ++i) {
    const float outer = get(grad[i]) * get(x[i]) * inverse;
    weight_grad[i] += outer;
    along += outer * (weight[i] + offset);
  }
  along = along / static_cast<float>(width) * inverse;
  for (int64_t i = 0; i < width; ++i)
    put(inverse * (get(grad[i]) * (weight[i] + offset) - get(x[i]) * along), x_grad[i]);
}

template <class T>
TESSERA_BODY void turn(const T* __restrict x, const float* __restrict cos, const float* __restrict sin, float direction,
                       int64_t half, T* __restrict out) {
  for (int64_t j = 0; j < half; ++j) {
    const float low = get(x[j]), high = get(x[j + half]), s = sin[j] * direction;
    put(low * cos[j] - high * s, out[j]);
    put(high * cos[j] + low * s, out[j + half]);
  }
}

template <class T>
TESSERA_BODY void silu(const T* __restrict gate, const T* __restrict up, int64_t count, T* __restrict out) {
  for (int64_t i = 0; i < count; ++i) put(get(gate[i]) * sigmoid(get(gate[i])) * get(up[i]), out[i]);
}

constexpr int32_t all_but_sign = 0x7FFFFFFF, infinity_bits = 0x7F800000;

/// The first of x with which `wanted` agrees.
template <class Wanted> TESSERA_BODY int64_t first_place(const float* x, int64_t count, Wanted wanted) {
  int64_t i = 0;
  while (i < count && !wanted(std::bit_cast<int32_t>(x[i]))) ++i;
  return i;
}

/// In whole numbers, because NaN has no meaning under -ffast-math.
TESSERA_BODY int64_t place_of_largest(const float* x, int64_t count) {
  int32_t most = std::numeric_limits<int32_t>::min(), magnitude = 0;
  for (int64_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<int32_t>(x[i]);
    magnitude = std::max(magnitude, bits & all_but_sign);
    most = std::max(most, bits ^ (bits >> 31 & all_but_sign));  // ordered as the numbers are
  }
  if (magnitude > infinity_bits)
    return first_place(x, count, [](int32_t bits) { return (bits & all_but_sign) > infinity_bits; });
  const int32_t wanted = most ^ (most >> 31 & all_but_sign);
  if (wanted == 0) return first_place(x, count, [](int32_t bits) { return (bits & all_but_sign) == 0; });
  return first_place(x, count, [&](int32_t bits) { return bits == wanted; });
}

/// x / 2 * (1 + tanh(z)) is x * sigmoid(2 z).
TESSERA_BODY void gelu(const float* __restrict gate, const float* __restrict up, int64_t count, float* __restrict out) {
  for (int64_t i = 0; i < count; ++i) {
    const float x = gate[i];
    out[i] = x * sigmoid(1.5957691216f * (x + 0.044715f * x * x * x)) * up[i];
  }
}

template <class T>
TESSERA_BODY void silu_back(const T* __restrict grad, const T* __restrict gate, const T* __restrict up, int64_t count,
                            T* __restrict gate_grad, T* __restrict up_grad) {
  for (int64_t i = 0; i < count; ++i) {
    const float g = get(gate[i]), open = sigmoid(g);
    put(get(grad[i]) * get(up[i]) * open * (1 + g * (1 - open)), gate_grad[i]);
    put(get(grad[i]) * g * open, up_grad[i]);
  }
}

}  // namespace

TESSERA_EACH_CPU float rms_row(const float* x, const float* weight, float offset, float eps, int64_t width,
                               float* out) {
  return rms(x, weight, offset, eps, width, out);
}
TESSERA_EACH_CPU float rms_row(const float* x, const float* weight, float offset, float eps, int64_t width, Bf16* out) {
  return rms(x, weight, offset, eps, width, out);
}
TESSERA_EACH_CPU float rms_row(const Bf16* x, const float* weight, float offset, float eps, int64_t width, Bf16* out) {
  return rms(x, weight, offset, eps, width, out);
}

TESSERA_EACH_CPU void rms_row_backward(const float* grad, const float* x, float inverse, const float* weight,
                                       float offset, int64_t width, float* x_grad, float* weight_grad) {
  rms_back(grad, x, inverse, weight, offset, width, x_grad, weight_grad);
}
TESSERA_EACH_CPU void rms_row_backward(const Bf16* grad, const float* x, float inverse, const float* weight,
                                       float offset, int64_t width, float* x_grad, float* weight_grad) {
  rms_back(grad, x, inverse, weight, offset, width, x_grad, weight_grad);
}
TESSERA_EACH_CPU void rms_row_backward(const Bf16* grad, const Bf16* x, float inverse, const float* weight,
                                       float offset, int64_t width, Bf16* x_grad, float* weight_grad) {
  rms_back(grad, x, inverse, weight, offset, width, x_grad, weight_grad);
}

TESSERA_EACH_CPU void rotate_head(const float* x, const float* cos, const float* sin, float direction, int64_t half,
                                  float* out) {
  turn(x, cos, sin, direction, half, out);
}
TESSERA_EACH_CPU void rotate_head(const Bf16* x, const float* cos, const float* sin, float direction, int64_t half,
                                  Bf16* out) {
  turn(x, cos, sin, direction, half, out);
}

TESSERA_EACH_CPU int64_t index_of_largest(const float* x, int64_t count) { return place_of_largest(x, count); }

TESSERA_EACH_CPU void gated_silu(const float* gate, const float* up, int64_t count, float* out) {
  silu(gate, up, count, out);
}
TESSERA_EACH_CPU void gated_gelu(const float* gate, const float* up, int64_t count, float* out) {
  gelu(gate, up, count, out);
}
TESSERA_EACH_CPU void gated_silu(const Bf16* gate, const Bf16* up, int64_t count, Bf16* out) {
  silu(gate, up, count, out);
}
TESSERA_EACH_CPU void gated_silu_backward(const float* grad, const float* gate, const float* up, int64_t count,
                                          float* gate_grad, float* up_grad) {
  silu_back(grad, gate, up, count, gate_grad, up_grad);
}
TESSERA_EACH_CPU void gated_silu_backward(const Bf16* grad, const Bf16* gate, const Bf16* up, int64_t count,
                                          Bf16* gate_grad, Bf16* up_grad) {
  silu_back(grad, gate, up, count, gate_grad, up_grad);
}

}  // namespace tessera::nn::loops
