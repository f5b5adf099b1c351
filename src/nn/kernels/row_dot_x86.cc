// Products of bf16 with bf16 by the processor's own instruction, 32 at a time. A few rows of x, which stay in the nearest cache, read the
// weight once from its beginning to its end; many are multiplied in tiles of six rows by four columns, whose 24 sums fill the registers.
// Each row of x is summed in the same order whichever way it goes: 16 partial sums, each adding two of every 32 products, then summed by
// halves.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // both of the compiler's own header (GCC bug 105593)
#endif
#include <immintrin.h>

#include <algorithm>
#include <vector>

#include "nn/kernels/row_linear.h"

namespace tessera::nn::rows {

#define TESSERA_DOT_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

namespace {

constexpr int64_t lanes = 32, rows_of_a_tile = 6, columns_of_a_tile = 4;
constexpr int64_t few_rows = 8;        // at most, multiplied column by column
constexpr int64_t few_numbers = 8192;  // of x at most then, so that it stays in the nearest cache
constexpr int64_t weights_kept_in_cache = 1 << 16, fewest_columns = 24;  // of a block that stays in the cache
constexpr int64_t depth_of_a_step = 1024;                                // a multiple of `lanes`

/// 32 numbers; where not `whole`, those of the mask and zeros.
template <bool whole> TESSERA_DOT_TARGET inline __m512bh numbers(const uint16_t* from, __mmask32 which) {
  if constexpr (whole) return reinterpret_cast<__m512bh>(_mm512_loadu_si512(from));
  else return reinterpret_cast<__m512bh>(_mm512_maskz_loadu_epi16(which, from));
}

__mmask16 first_lanes16(int64_t count) {
  return count >= 16 ? __mmask16{0xFFFF} : static_cast<__mmask16>((1u << count) - 1);
}

/// Horizontal sums of four vectors, one in each 128-bit lane, in the order of _mm512_reduce_add_ps.
TESSERA_DOT_TARGET inline __m512 sums_of_four(__m512 a, __m512 b, __m512 c, __m512 d) {
  const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
  const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xEE));
  const __m512 all = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xDD));
  const __m512 pairs = _mm512_add_ps(all, _mm512_permute_ps(all, 0x4E));
  return _mm512_add_ps(pairs, _mm512_permute_ps(pairs, 0xB1));
}

/// Adds 32 products to each of the sums, which stay in registers only where all loops over them are unrolled.
template <int rows, int columns, bool whole>
[[gnu::always_inline]] TESSERA_DOT_TARGET inline void add(__m512 (&sums)[rows][columns], const uint16_t* weight,
                                                          const uint16_t* x, int64_t in, __mmask32 which) {
  __m512bh w[columns];
#pragma GCC unroll 8
  for (int c = 0; c < columns; ++c) w[c] = numbers<whole>(weight + c * in, which);
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    const __m512bh a = numbers<whole>(x + r * in, which);
#pragma GCC unroll 8
    for (int c = 0; c < columns; ++c) sums[r][c] = _mm512_dpbf16_ps(sums[r][c], w[c], a);
  }
}

/// First rows of a tile: of the weight and of x, both [.., in], and of y [.., out].
struct TileOperands {
  const uint16_t *weight, *x;
  int64_t in, out;
  float* y;
  bool prefetch;  // the next tile's columns
};

/// The numbers begin to end of a tile's rows. Sums of earlier ones come from `kept`, and go there if there are more to come.
template <int rows, int columns>
TESSERA_DOT_TARGET void tile(const TileOperands& at, int64_t begin, int64_t end, float* kept) {
  __m512 sums[rows][columns];
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 8
    for (int c = 0; c < columns; ++c)
      sums[r][c] = begin == 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(kept + (r * columns + c) * 16);
  }
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) {
    if constexpr (columns == 1) _mm_prefetch(reinterpret_cast<const char*>(at.weight + i + 1024), _MM_HINT_T0);
    if (columns > 1 && at.prefetch) {
#pragma GCC unroll 8
      for (int c = 0; c < columns; ++c)
        _mm_prefetch(reinterpret_cast<const char*>(at.weight + (columns + c) * at.in + i), _MM_HINT_T0);
    }
    add<rows, columns, true>(sums, at.weight + i, at.x + i, at.in, 0);
  }
  if (i < end) add<rows, columns, false>(sums, at.weight + i, at.x + i, at.in, (__mmask32{1} << (end - i)) - 1);
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r) {
    if (end < at.in) {
#pragma GCC unroll 8
      for (int c = 0; c < columns; ++c) _mm512_storeu_ps(kept + (r * columns + c) * 16, sums[r][c]);
    } else if constexpr (columns == columns_of_a_tile) {
      const __m512 four = sums_of_four(sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
      _mm_storeu_ps(at.y + r * at.out, _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, four)));
    } else {
#pragma GCC unroll 8
      for (int c = 0; c < columns; ++c) at.y[r * at.out + c] = _mm512_reduce_add_ps(sums[r][c]);
    }
  }
}

using TileOf = decltype(&tile<1, 1>);
constexpr TileOf columns_by_one[few_rows] = {tile<1, 1>, tile<2, 1>, tile<3, 1>, tile<4, 1>,
                                             tile<5, 1>, tile<6, 1>, tile<7, 1>, tile<8, 1>};
constexpr TileOf tiles[rows_of_a_tile][columns_of_a_tile] = {
    {tile<1, 1>, tile<1, 2>, tile<1, 3>, tile<1, 4>}, {tile<2, 1>, tile<2, 2>, tile<2, 3>, tile<2, 4>},
    {tile<3, 1>, tile<3, 2>, tile<3, 3>, tile<3, 4>}, {tile<4, 1>, tile<4, 2>, tile<4, 3>, tile<4, 4>},
    {tile<5, 1>, tile<5, 2>, tile<5, 3>, tile<5, 4>}, {tile<6, 1>, tile<6, 2>, tile<6, 3>, tile<6, 4>}};

/// Columns of the weight whose numbers stay in the cache while all rows pass by.
int64_t columns_kept(int64_t in) {
  return std::max(fewest_columns, weights_kept_in_cache / in / columns_of_a_tile * columns_of_a_tile);
}

bool are_few(int64_t count, int64_t in) { return count <= 1 || (count <= few_rows && count * in <= few_numbers); }

/// y [rows, out]: the first `columns` of each row, which read the weight once from its beginning to its end.
void multiply_few(const uint16_t* weight, const uint16_t* x, int64_t count, int64_t in, int64_t out, int64_t columns,
                  float* y) {
  if (count == 0) return;
  for (int64_t column = 0; column < columns; ++column)
    columns_by_one[count - 1]({weight + column * in, x, in, out, y + column, false}, 0, in, nullptr);
}

/// The same of many. Deep rows are multiplied in steps, so that those of a tile stay in the nearest cache.
void multiply_block(const uint16_t* weight, const uint16_t* x, int64_t count, int64_t in, int64_t out, int64_t columns,
                    float* y) {
  if (are_few(count, in)) return multiply_few(weight, x, count, in, out, columns, y);
  thread_local std::vector<float> kept;
  const int64_t deep = in <= 2 * depth_of_a_step ? in : depth_of_a_step;
  const int64_t parts = (count + rows_of_a_tile - 1) / rows_of_a_tile, high = (count + parts - 1) / parts;
  if (deep < in) kept.resize(static_cast<size_t>(high * columns * 16));
  for (int64_t first = 0; first < count; first += high) {
    const int64_t rows = std::min(high, count - first);
    for (int64_t begin = 0; begin < in; begin += deep) {
      for (int64_t column = 0, next = 0; column < columns; column = next) {
        next = std::min(column + columns_of_a_tile, columns);
        const TileOperands at{weight + column * in, x + first * in, in, out, y + first * out + column, first == 0};
        tiles[rows - 1][next - column - 1](at, begin, std::min(in, begin + deep),
                                           deep < in ? kept.data() + column * rows * 16 : nullptr);
      }
    }
  }
}

TESSERA_DOT_TARGET void fp16_to_bf16(const uint16_t* from, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 which = first_lanes16(count - i);
    const __m512 wide = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(which, from + i));
    _mm256_mask_storeu_epi16(to + i, which, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(wide)));
  }
}

}  // namespace

bool has_bf16_dot() {
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
}

bool bf16_dot_suits_many() { return has_bf16_dot() && !__builtin_cpu_supports("amx-bf16"); }

TESSERA_DOT_TARGET void round_to_bf16(const float* x, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 which = first_lanes16(count - i);
    const __m256bh rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(which, x + i));
    _mm256_mask_storeu_epi16(to + i, which, reinterpret_cast<__m256i>(rounded));
  }
}

void multiply_bf16(const uint16_t* weight, const uint16_t* x, int64_t count, int64_t in, int64_t out, int64_t begin,
                   int64_t end, float* y) {
  const int64_t at_once = are_few(count, in) ? std::max<int64_t>(1, end - begin) : columns_kept(in);
  for (int64_t block = begin; block < end; block += at_once)
    multiply_block(weight + block * in, x, count, in, out, std::min(at_once, end - block), y + block);
}

void multiply_fp16_in_bf16(const uint16_t* weight, const uint16_t* x, int64_t count, int64_t in, int64_t out,
                           int64_t begin, int64_t end, float* y) {
  thread_local std::vector<uint16_t> rounded;
  const int64_t at_once = columns_kept(in);
  rounded.resize(static_cast<size_t>(at_once * in));
  for (int64_t block = begin; block < end; block += at_once) {
    const int64_t columns = std::min(at_once, end - block);
    fp16_to_bf16(weight + block * in, columns * in, rounded.data());
    multiply_block(rounded.data(), x, count, in, out, columns, y + block);
  }
}

#undef TESSERA_DOT_TARGET

}  // namespace tessera::nn::rows
