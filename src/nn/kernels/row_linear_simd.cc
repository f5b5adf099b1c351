// The product row by row in SIMD instructions, compiled once for each instruction set (Highway): AVX2, AVX-512, NEON. A row of
// the weight is read once for up to eight rows of x, and each row of x is summed in the same order however many there are.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nn/kernels/row_linear_simd.cc"
// Without AVX2 there is no widening of fp16, and vectors of unknown length cannot stand in arrays.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#include <hwy/foreach_target.h>
// foreach_target.h comes first: it compiles this whole file for each target.
#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <type_traits>

#include "nn/kernels/row_linear.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::nn::rows::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::ScalableTag<float>;

/// Numbers as fp32, from where they are stored as fp32, fp16 or bf16.
template <class D, class Number> auto widened(D floats, const Number* from) {
  if constexpr (std::is_same_v<Number, float>) return hn::LoadU(floats, from);
  else return hn::PromoteTo(floats, hn::LoadU(hn::Rebind<Number, D>(), from));
}

/// Products of output columns begin to end with `rows` rows of x, as multiply() has them.
template <class Number, int rows>
void columns(const Number* weight, const float* x, int64_t in, int64_t out, int64_t begin, int64_t end, float* y) {
  const Floats floats;
  const hn::CappedTag<float, 1> one;
  const auto lanes = static_cast<int64_t>(hn::Lanes(floats));
  const int64_t whole = in / (2 * lanes) * (2 * lanes);
  for (int64_t o = begin; o < end; ++o) {
    const Number* w = weight + o * in;
    hn::Vec<Floats> even[rows], odd[rows];
    for (int r = 0; r < rows; ++r) even[r] = odd[r] = hn::Zero(floats);
    for (int64_t i = 0; i < whole; i += 2 * lanes) {
      hwy::Prefetch(w + i + 1024);
      const auto a = widened(floats, w + i);
      const auto b = widened(floats, w + i + lanes);
      for (int r = 0; r < rows; ++r) {
        even[r] = hn::MulAdd(a, hn::LoadU(floats, x + r * in + i), even[r]);
        odd[r] = hn::MulAdd(b, hn::LoadU(floats, x + r * in + i + lanes), odd[r]);
      }
    }
    float rest[rows] = {};
    for (int64_t i = whole; i < in; ++i) {
      const float a = hn::GetLane(widened(one, w + i));
      for (int r = 0; r < rows; ++r) rest[r] += a * x[r * in + i];
    }
    for (int r = 0; r < rows; ++r) {
      y[r * out + o] = hn::GetLane(hn::SumOfLanes(floats, hn::Add(even[r], odd[r]))) + rest[r];
    }
  }
}

template <class Number>
void up_to_eight_rows(const void* weight, const float* x, int64_t count, int64_t in, int64_t out, int64_t begin,
                      int64_t end, float* y) {
  constexpr decltype(&columns<Number, 1>) by_rows[] = {columns<Number, 1>, columns<Number, 2>, columns<Number, 3>,
                                                       columns<Number, 4>, columns<Number, 5>, columns<Number, 6>,
                                                       columns<Number, 7>, columns<Number, 8>};
  by_rows[count - 1](static_cast<const Number*>(weight), x, in, out, begin, end, y);
}

void fp32_rows(const void* weight, const float* x, int64_t count, int64_t in, int64_t out, int64_t begin, int64_t end,
               float* y) {
  up_to_eight_rows<float>(weight, x, count, in, out, begin, end, y);
}

void fp16_rows(const void* weight, const float* x, int64_t count, int64_t in, int64_t out, int64_t begin, int64_t end,
               float* y) {
  up_to_eight_rows<hwy::float16_t>(weight, x, count, in, out, begin, end, y);
}

void bf16_rows(const void* weight, const float* x, int64_t count, int64_t in, int64_t out, int64_t begin, int64_t end,
               float* y) {
  up_to_eight_rows<hwy::bfloat16_t>(weight, x, count, in, out, begin, end, y);
}

/// A processor without these instruction sets has one lane.
bool worth_while() { return hn::Lanes(Floats()) >= 4; }

}  // namespace
}  // namespace tessera::nn::rows::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera::nn::rows {

namespace {
constexpr int64_t weights_in_cache = 1 << 16;

HWY_EXPORT(fp32_rows);
HWY_EXPORT(fp16_rows);
HWY_EXPORT(bf16_rows);
HWY_EXPORT(worth_while);
}  // namespace

bool runs() { return HWY_DYNAMIC_DISPATCH(worth_while)(); }

void multiply(Kind kind, const void* weight, const float* x, int64_t count, int64_t in, int64_t out, int64_t begin,
              int64_t end, float* y) {
  const auto some_rows = kind == Kind::fp32   ? HWY_DYNAMIC_DISPATCH(fp32_rows)
                         : kind == Kind::fp16 ? HWY_DYNAMIC_DISPATCH(fp16_rows)
                                              : HWY_DYNAMIC_DISPATCH(bf16_rows);
  // few columns at a time, so that eight further rows find them in the cache
  const int64_t at_once = count <= 8 ? end - begin : std::max<int64_t>(1, weights_in_cache / in);
  for (int64_t column = begin; column < end; column += at_once) {
    const int64_t last = std::min(end, column + at_once);
    for (int64_t first = 0; first < count; first += 8)
      some_rows(weight, x + first * in, std::min<int64_t>(8, count - first), in, out, column, last, y + first * out);
  }
}

}  // namespace tessera::nn::rows
#endif
