// Products of bf16 with bf16 by the processor's own instruction, 32 at a time. A row of the weight is read once for up to eight
// rows of x, and each row of x is summed in the same order however many there are.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // both of the compiler's own header (GCC bug 105593)
#endif
#include <immintrin.h>

#include <algorithm>

#include "nn/kernels/row_linear.h"

namespace tessera::nn::rows {

#define TESSERA_DOT_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

namespace {

constexpr int64_t lanes = 32, most_rows_at_once = 8, weights_kept_in_cache = 1 << 16;

TESSERA_DOT_TARGET inline __m512bh numbers(const uint16_t* from, __mmask32 which) {
  return reinterpret_cast<__m512bh>(_mm512_maskz_loadu_epi16(which, from));
}

__mmask32 first_lanes(int64_t count) { return count >= lanes ? ~__mmask32{0} : (__mmask32{1} << count) - 1; }

template <int rows>
TESSERA_DOT_TARGET void columns(const uint16_t* weight, const uint16_t* x, int64_t in, int64_t out, int64_t begin,
                                int64_t end, float* y) {
  for (int64_t o = begin; o < end; ++o) {
    const uint16_t* const w = weight + o * in;
    __m512 even[rows], odd[rows];
    for (int r = 0; r < rows; ++r) even[r] = odd[r] = _mm512_setzero_ps();
    for (int64_t i = 0; i < in; i += 2 * lanes) {
      const __mmask32 first = first_lanes(in - i), second = first_lanes(std::max<int64_t>(0, in - i - lanes));
      _mm_prefetch(reinterpret_cast<const char*>(w + i + 1024), _MM_HINT_T0);
      _mm_prefetch(reinterpret_cast<const char*>(w + i + 1024 + lanes), _MM_HINT_T0);
      const __m512bh a = numbers(w + i, first), b = numbers(w + i + lanes, second);
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) {
        even[r] = _mm512_dpbf16_ps(even[r], a, numbers(x + r * in + i, first));
        odd[r] = _mm512_dpbf16_ps(odd[r], b, numbers(x + r * in + i + lanes, second));
      }
    }
    for (int r = 0; r < rows; ++r) y[r * out + o] = _mm512_reduce_add_ps(_mm512_add_ps(even[r], odd[r]));
  }
}

constexpr decltype(&columns<1>) by_rows[] = {columns<1>, columns<2>, columns<3>, columns<4>,
                                             columns<5>, columns<6>, columns<7>, columns<8>};

}  // namespace

bool has_bf16_dot() {
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
}

TESSERA_DOT_TARGET void round_to_bf16(const float* x, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 which = count - i >= 16 ? __mmask16{0xFFFF} : static_cast<__mmask16>((1u << (count - i)) - 1);
    const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(which, x + i));
    _mm256_mask_storeu_epi16(to + i, which, reinterpret_cast<__m256i>(rounded));
  }
}

void multiply_bf16(const uint16_t* weight, const uint16_t* x, int64_t count, int64_t in, int64_t out, int64_t begin,
                   int64_t end, float* y) {
  // few columns at a time, so that eight further rows find them in the cache
  const int64_t at_once = count <= most_rows_at_once ? end - begin : std::max<int64_t>(1, weights_kept_in_cache / in);
  for (int64_t column = begin; column < end; column += at_once) {
    const int64_t last = std::min(end, column + at_once);
    for (int64_t first = 0; first < count; first += most_rows_at_once) {
      const int64_t rows = std::min(most_rows_at_once, count - first);
      by_rows[rows - 1](weight, x + first * in, in, out, column, last, y + first * out);
    }
  }
}

#undef TESSERA_DOT_TARGET

}  // namespace tessera::nn::rows
