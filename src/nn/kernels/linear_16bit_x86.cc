// AVX2 and AVX-512 forms of the product with 16-bit weights. A row of the weight is read once for up to eight rows of
// x.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // both of the compiler's own header (GCC bug 105593)
#endif
#include <immintrin.h>

#include <algorithm>
#include <bit>

#include "nn/kernels/linear_16bit.h"

namespace tessera::nn::weights16 {

namespace {

#define TESSERA_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))
#define TESSERA_AVX2 __attribute__((target("avx2,fma,f16c")))

struct Job {
  const uint16_t* weight;
  const float* x;
  int64_t in, out, begin, end;
  float* y;
};

template <Kind kind> TESSERA_AVX512 inline __m512 widened(__m256i bits) {
  if constexpr (kind == Kind::fp16) return _mm512_cvtph_ps(bits);
  else return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

template <Kind kind, int rows> TESSERA_AVX512 void columns_avx512(const Job& job) {
  const int64_t whole = job.in / 32 * 32;
  for (int64_t o = job.begin; o < job.end; ++o) {
    const uint16_t* w = job.weight + o * job.in;
    __m512 even[rows], odd[rows];
    for (int r = 0; r < rows; ++r) even[r] = odd[r] = _mm512_setzero_ps();
    for (int64_t i = 0; i < whole; i += 32) {
      _mm_prefetch(reinterpret_cast<const char*>(w + i + 1024), _MM_HINT_T0);
      const __m512 a = widened<kind>(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + i)));
      const __m512 b = widened<kind>(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + i + 16)));
      for (int r = 0; r < rows; ++r) {
        const float* x = job.x + r * job.in + i;
        even[r] = _mm512_fmadd_ps(a, _mm512_loadu_ps(x), even[r]);
        odd[r] = _mm512_fmadd_ps(b, _mm512_loadu_ps(x + 16), odd[r]);
      }
    }
    for (int64_t i = whole; i < job.in; i += 16) {
      const auto mask = static_cast<__mmask16>((1u << std::min<int64_t>(16, job.in - i)) - 1);
      const __m512 a = widened<kind>(_mm256_maskz_loadu_epi16(mask, w + i));
      for (int r = 0; r < rows; ++r) {
        even[r] = _mm512_fmadd_ps(a, _mm512_maskz_loadu_ps(mask, job.x + r * job.in + i), even[r]);
      }
    }
    for (int r = 0; r < rows; ++r) job.y[r * job.out + o] = _mm512_reduce_add_ps(_mm512_add_ps(even[r], odd[r]));
  }
}

template <Kind kind> TESSERA_AVX2 inline __m256 widened_avx2(__m128i bits) {
  if constexpr (kind == Kind::fp16) return _mm256_cvtph_ps(bits);
  else return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

template <Kind kind> TESSERA_AVX2 inline float widened_one(uint16_t bits) {
  if constexpr (kind == Kind::fp16) return _cvtsh_ss(bits);
  else return std::bit_cast<float>(uint32_t{bits} << 16);
}

template <Kind kind, int rows> TESSERA_AVX2 void columns_avx2(const Job& job) {
  const int64_t whole = job.in / 8 * 8;
  for (int64_t o = job.begin; o < job.end; ++o) {
    const uint16_t* w = job.weight + o * job.in;
    __m256 sum[rows];
    float rest[rows] = {};
    for (auto& s : sum) s = _mm256_setzero_ps();
    for (int64_t i = 0; i < whole; i += 8) {
      _mm_prefetch(reinterpret_cast<const char*>(w + i + 1024), _MM_HINT_T0);
      const __m256 a = widened_avx2<kind>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w + i)));
      for (int r = 0; r < rows; ++r) sum[r] = _mm256_fmadd_ps(a, _mm256_loadu_ps(job.x + r * job.in + i), sum[r]);
    }
    for (int64_t i = whole; i < job.in; ++i) {
      const float a = widened_one<kind>(w[i]);
      for (int r = 0; r < rows; ++r) rest[r] += a * job.x[r * job.in + i];
    }
    for (int r = 0; r < rows; ++r) {
      alignas(32) float parts[8];
      _mm256_store_ps(parts, sum[r]);
      for (const float part : parts) rest[r] += part;
      job.y[r * job.out + o] = rest[r];
    }
  }
}

using Columns = void (*)(const Job&);
template <Kind kind>
constexpr Columns by_rows_avx512[] = {columns_avx512<kind, 1>, columns_avx512<kind, 2>, columns_avx512<kind, 3>,
                                      columns_avx512<kind, 4>, columns_avx512<kind, 5>, columns_avx512<kind, 6>,
                                      columns_avx512<kind, 7>, columns_avx512<kind, 8>};
template <Kind kind>
constexpr Columns by_rows_avx2[] = {columns_avx2<kind, 1>, columns_avx2<kind, 2>, columns_avx2<kind, 3>,
                                    columns_avx2<kind, 4>, columns_avx2<kind, 5>, columns_avx2<kind, 6>,
                                    columns_avx2<kind, 7>, columns_avx2<kind, 8>};

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

}  // namespace

bool runs() {
  return has_avx512() ||
         (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"));
}

void multiply(Kind kind, const uint16_t* weight, const float* x, int64_t rows, int64_t in, int64_t out, int64_t begin,
              int64_t end, float* y) {
  const bool wide = has_avx512();
  for (int64_t first = 0; first < rows; first += 8) {
    const auto which = static_cast<size_t>(std::min<int64_t>(8, rows - first) - 1);
    const Columns columns = kind == Kind::fp16 ? (wide ? by_rows_avx512<Kind::fp16> : by_rows_avx2<Kind::fp16>)[which]
                                               : (wide ? by_rows_avx512<Kind::bf16> : by_rows_avx2<Kind::bf16>)[which];
    columns({weight, x + first * in, in, out, begin, end, y + first * out});
  }
}

}  // namespace tessera::nn::weights16
