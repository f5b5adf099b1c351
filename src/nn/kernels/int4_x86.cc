// AVX2 and AVX-512 forms of the 4-bit product. Nibbles are unsigned and activations signed bytes, which is what
// vpmaddubsw and vpdpbusd multiply; no sum of theirs can overflow or saturate (bounds beside each). Zeros are taken
// off at the end of each group: sum (q - z) x = sum q x - z sum x.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // both of the compiler's own header (GCC bug 105593)
#endif
#include <immintrin.h>

#include <algorithm>
#include <iterator>

#include "nn/kernels/int4_kernel.h"

namespace tessera::nn::int4 {

namespace {

constexpr int64_t span = 16;  // groups whose scales are multiplied together

#define TESSERA_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx512dq")))
#define TESSERA_AVX2 __attribute__((target("avx2,fma")))

/// The lanes' sum: halves, quarters, pairs, then the last two.
TESSERA_AVX512 inline float sum_of(__m512 v) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/// y[r * stride] = sum_of(v[r]), eight at a time: the same sums in the same order, side by side.
template <int rows> TESSERA_AVX512 inline void store_sums(const __m512 (&v)[rows], int64_t stride, float* y) {
  if constexpr (rows <= 2) {
    for (int r = 0; r < rows; ++r) y[r * stride] = sum_of(v[r]);
  } else {
    __m512 row[8], half[4], quarter[2];
#pragma GCC unroll 8
    for (int r = 0; r < 8; ++r) row[r] = v[r < rows ? r : 0];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
      half[i] = _mm512_add_ps(_mm512_shuffle_f32x4(row[2 * i], row[2 * i + 1], 0x44),
                              _mm512_shuffle_f32x4(row[2 * i], row[2 * i + 1], 0xEE));
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i)  // rows 4 i to 4 i + 3, four lanes each
      quarter[i] = _mm512_add_ps(_mm512_shuffle_f32x4(half[2 * i], half[2 * i + 1], 0x88),
                                 _mm512_shuffle_f32x4(half[2 * i], half[2 * i + 1], 0xDD));
    const __m512 pairs =
        _mm512_add_ps(_mm512_shuffle_ps(quarter[0], quarter[1], 0x44), _mm512_shuffle_ps(quarter[0], quarter[1], 0xEE));
    alignas(64) float sums[16];  // of row r at 4 (r % 4) + r / 4
    _mm512_store_ps(sums, _mm512_add_ps(_mm512_shuffle_ps(pairs, pairs, 0x88), _mm512_shuffle_ps(pairs, pairs, 0xDD)));
    for (int r = 0; r < rows; ++r) y[r * stride] = sums[4 * (r % 4) + r / 4];
  }
}

/// One output of `rows` rows, group by group.
template <int rows>
TESSERA_AVX512 void columns_avx512(const Weights& w, const Activations& x, int64_t first, int64_t begin, int64_t end,
                                   float* y) {
  const int64_t groups = w.groups();
  const __m512i low_half = _mm512_set1_epi8(15);
  for (int64_t o = begin; o < end; ++o) {
    __m512 total[rows];
    for (auto& t : total) t = _mm512_setzero_ps();
    for (int64_t g0 = 0; g0 < groups; g0 += span) {
      const int64_t count = std::min(span, groups - g0), at = o * groups + g0;
      const auto mask = static_cast<__mmask16>((1u << count) - 1);
      const __m512 scales = _mm512_maskz_loadu_ps(mask, w.scales + at);
      const __m512 zeros = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, w.zeros + at)));
      alignas(64) float factor[rows][span];
#pragma GCC unroll 8
      for (int r = 0; r < rows; ++r) {
        const int64_t row = (first + r) * groups + g0;
        const __m512 both = _mm512_mul_ps(scales, _mm512_maskz_loadu_ps(mask, x.scales.data() + row));
        const __m512 sums = _mm512_maskz_loadu_ps(mask, x.sums.data() + row);
        total[r] = _mm512_fnmadd_ps(_mm512_mul_ps(both, zeros), sums, total[r]);
        _mm512_store_ps(factor[r], both);
      }
      const uint8_t* packed = w.packed + at * 64;
      for (int64_t g = 0; g < count; ++g, packed += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(packed + 2048), _MM_HINT_T0);
        const __m512i q = _mm512_loadu_si512(packed);
        const __m512i even = _mm512_and_si512(q, low_half);
        const __m512i odd = _mm512_and_si512(_mm512_srli_epi16(q, 4), low_half);
#pragma GCC unroll 8
        for (int r = 0; r < rows; ++r) {
          const int8_t* v = x.row(first + r) + (g0 + g) * 256;
          __m512i high = _mm512_dpbusd_epi32(_mm512_setzero_si512(), even, _mm512_load_si512(v));
          high = _mm512_dpbusd_epi32(high, odd, _mm512_load_si512(v + 64));  // |.| <= 8 * 15 * 128
          __m512i low = _mm512_dpbusd_epi32(_mm512_slli_epi32(high, 8), even, _mm512_load_si512(v + 128));
          low = _mm512_dpbusd_epi32(low, odd, _mm512_load_si512(v + 192));  // |.| < 2^22: exact in fp32
          total[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(low), _mm512_set1_ps(factor[r][g]), total[r]);
        }
      }
    }
    store_sums(total, w.out, y + first * w.out + o);
  }
}

TESSERA_AVX2 inline float sum_of(__m256 v) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}

TESSERA_AVX2 inline __m256i load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }

template <int rows>
TESSERA_AVX2 void columns_avx2(const Weights& w, const Activations& x, int64_t first, int64_t begin, int64_t end,
                               float* y) {
  const int64_t groups = w.groups(), chunks = w.group / avx2_chunk;
  const __m256i low_half = _mm256_set1_epi8(15), one = _mm256_set1_epi16(1), place = _mm256_set1_epi16(256);
  for (int64_t o = begin; o < end; ++o) {
    __m256 total[rows];
    float zero_part[rows] = {};
    for (auto& t : total) t = _mm256_setzero_ps();
    const uint8_t* packed = w.packed + o * w.in / 2;
    for (int64_t g = 0; g < groups; ++g) {
      __m256i high[rows], low[rows];  // 16-bit sums
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) high[r] = low[r] = _mm256_setzero_si256();
      for (int64_t c = 0; c < chunks; ++c, packed += 32) {
        _mm_prefetch(reinterpret_cast<const char*>(packed + 2048), _MM_HINT_T0);
        const __m256i q = load(packed);
        const __m256i even = _mm256_and_si256(q, low_half);
        const __m256i odd = _mm256_and_si256(_mm256_srli_epi16(q, 4), low_half);
#pragma GCC unroll 4
        for (int r = 0; r < rows; ++r) {
          const int8_t* v = x.row(first + r) + (g * chunks + c) * 128;
          // two chunks of four products each: |.| <= 8 * 15 * 128 = 15360
          high[r] = _mm256_add_epi16(high[r], _mm256_maddubs_epi16(even, load(v)));
          high[r] = _mm256_add_epi16(high[r], _mm256_maddubs_epi16(odd, load(v + 32)));
          low[r] = _mm256_add_epi16(low[r], _mm256_maddubs_epi16(even, load(v + 64)));
          low[r] = _mm256_add_epi16(low[r], _mm256_maddubs_epi16(odd, load(v + 96)));
        }
      }
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) {
        const int64_t at = (first + r) * groups + g;
        const float factor = w.scales[o * groups + g] * x.scales[static_cast<size_t>(at)];
        const __m256i dot = _mm256_add_epi32(_mm256_madd_epi16(high[r], place), _mm256_madd_epi16(low[r], one));
        total[r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), _mm256_set1_ps(factor), total[r]);
        zero_part[r] += factor * static_cast<float>(w.zeros[o * groups + g]) * x.sums[static_cast<size_t>(at)];
      }
    }
    for (int r = 0; r < rows; ++r) y[(first + r) * w.out + o] = sum_of(total[r]) - zero_part[r];
  }
}

using Columns = void (*)(const Weights&, const Activations&, int64_t, int64_t, int64_t, float*);
constexpr Columns by_rows_avx512[] = {columns_avx512<1>, columns_avx512<2>, columns_avx512<3>, columns_avx512<4>,
                                      columns_avx512<5>, columns_avx512<6>, columns_avx512<7>, columns_avx512<8>};
constexpr Columns by_rows_avx2[] = {columns_avx2<1>, columns_avx2<2>, columns_avx2<3>, columns_avx2<4>};
static_assert(std::size(by_rows_avx512) == most_rows_avx512 && std::size(by_rows_avx2) == most_rows_avx2);

}  // namespace

bool processor_has(Path path) {
  if (path == Path::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (path == Path::avx512) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
  }
  return true;
}

bool multiplies_bfloat16() { return __builtin_cpu_supports("avx512bf16"); }

void multiply_avx512(const Weights& w, const Activations& x, int64_t first, int64_t count, int64_t begin, int64_t end,
                     float* y) {
  by_rows_avx512[count - 1](w, x, first, begin, end, y);
}

void multiply_avx2(const Weights& w, const Activations& x, int64_t first, int64_t count, int64_t begin, int64_t end,
                   float* y) {
  by_rows_avx2[count - 1](w, x, first, begin, end, y);
}

TESSERA_AVX512 void look_up_avx512(const uint8_t* packed, const uint16_t* table, uint16_t* to) {
  const __m512i values = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(table)));
  const __m512i halves = _mm512_set1_epi32(0x000F000F);
  for (int part = 0; part < 4; ++part) {
    // byte hl in 32 bits -> 16-bit indices l and h
    const __m512i q = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(packed + 16 * part)));
    const __m512i index = _mm512_and_si512(_mm512_or_si512(q, _mm512_slli_epi32(q, 12)), halves);
    _mm512_storeu_si512(to + 32 * part, _mm512_permutexvar_epi16(index, values));
  }
}

}  // namespace tessera::nn::int4
