// The AVX-512 form of the product: a register holds four inputs of each of sixteen rows as unsigned bytes, and vpdpbusd
// multiplies them by four signed bytes of activations that are the same for all. No sum of it can overflow: with 16 bits a
// span's is below 32 * 255 * 32512 < 2^29.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // both of the compiler's own header (GCC bug 105593)
#endif
#include <immintrin.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "nn/kernels/blocks/block_product.h"

namespace tessera::nn::blocks {

namespace avx512 {

#define TESSERA_BLOCKS_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx512dq")))
#define TESSERA_BLOCKS_INLINE TESSERA_BLOCKS_TARGET __attribute__((always_inline)) inline

using Word = __m512i;
using Float = __m512;

TESSERA_BLOCKS_INLINE Word load_words(const uint8_t* from) { return _mm512_loadu_si512(from); }
TESSERA_BLOCKS_INLINE __m128i sixteen_bytes(const uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
TESSERA_BLOCKS_INLINE Word load_bytes(const uint8_t* from) { return _mm512_cvtepu8_epi32(sixteen_bytes(from)); }
TESSERA_BLOCKS_INLINE Word load_signed_bytes(const uint8_t* from) { return _mm512_cvtepi8_epi32(sixteen_bytes(from)); }
TESSERA_BLOCKS_INLINE Float load_halves(const uint8_t* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
TESSERA_BLOCKS_INLINE Word masked(Word a, uint32_t mask) {
  return _mm512_and_si512(a, _mm512_set1_epi32(static_cast<int>(mask)));
}
/// a | (b & mask)
TESSERA_BLOCKS_INLINE Word with_bits(Word a, Word b, uint32_t mask) {
  return _mm512_ternarylogic_epi32(a, b, _mm512_set1_epi32(static_cast<int>(mask)), 0xF8);
}
TESSERA_BLOCKS_INLINE Word shifted_right(Word a, int by) { return _mm512_srl_epi32(a, _mm_cvtsi32_si128(by)); }
TESSERA_BLOCKS_INLINE Word shifted_left(Word a, int by) { return _mm512_sll_epi32(a, _mm_cvtsi32_si128(by)); }
TESSERA_BLOCKS_INLINE Word rotated_right(Word a, int by) { return _mm512_rorv_epi32(a, _mm512_set1_epi32(by)); }
TESSERA_BLOCKS_INLINE Float to_float(Word a) { return _mm512_cvtepi32_ps(a); }
TESSERA_BLOCKS_INLINE Float product(Float a, Float b) { return _mm512_mul_ps(a, b); }
TESSERA_BLOCKS_INLINE Float negated(Float a) { return _mm512_sub_ps(_mm512_setzero_ps(), a); }

#include "nn/kernels/blocks/block_lanes-inl.h"

namespace {

TESSERA_BLOCKS_INLINE __m512i four_bytes(const int8_t* from) {
  int32_t word;
  std::memcpy(&word, from, 4);
  return _mm512_set1_epi32(word);
}

/// One span of sixteen rows.
struct Span {
  const __m512i* q;  // [words]
  __m512 scale, offset;
};

/// Adds a span's products with each of `rows` rows of activations. Direct and strip products both end here, so that their
/// numbers are the same.
template <int rows, int words, bool offsets, bool narrow>
TESSERA_BLOCKS_INLINE void add_span(const Span& span, const Slice& x, int64_t record, __m512 (&total)[rows]) {
  constexpr int row_bytes = narrow ? 4 * words : 8 * words;
  const int8_t* v = x.bytes + record * row_bytes;
#pragma GCC unroll 8
  for (int r = 0; r < rows; ++r, v += row_bytes) {
    __m512i dot = _mm512_set1_epi32(x.starts[record + r]);
    if constexpr (narrow) {
#pragma GCC unroll 8
      for (int k = 0; k < words; ++k) dot = _mm512_dpbusd_epi32(dot, span.q[k], four_bytes(v + 4 * k));
    } else {
      __m512i high = _mm512_setzero_si512();
#pragma GCC unroll 8
      for (int k = 0; k < words; ++k) {
        high = _mm512_dpbusd_epi32(high, span.q[k], four_bytes(v + 4 * k));
        dot = _mm512_dpbusd_epi32(dot, span.q[k], four_bytes(v + 4 * (words + k)));
      }
      dot = _mm512_add_epi32(dot, _mm512_slli_epi32(high, 8));
    }
    const __m512 factor = _mm512_mul_ps(span.scale, _mm512_set1_ps(x.scales[record + r]));
    total[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), factor, total[r]);
    if constexpr (offsets) total[r] = _mm512_fmadd_ps(span.offset, _mm512_set1_ps(x.sums[record + r]), total[r]);
  }
}

template <int rows> TESSERA_BLOCKS_INLINE void store(const Group& group, int64_t row, const __m512 (&total)[rows]) {
  const auto mask = static_cast<__mmask16>((1u << group.last) - (1u << group.first));
  for (int r = 0; r < rows; ++r) _mm512_mask_storeu_ps(group.y + (row + r) * group.stride, mask, total[r]);
}

/// Quants go from the tile to registers and are used up.
template <BlockType type, bool narrow, int rows>
TESSERA_BLOCKS_TARGET void direct(const Group& group, const Slice& x, int64_t row) {
  constexpr Form form = form_of(type);
  constexpr int words = form.span / 4;
  constexpr int64_t tile_bytes = tile_rows * info(type).bytes;
  const uint8_t* tile = group.tiles;
  __m512 total[rows];
  for (auto& t : total) t = _mm512_setzero_ps();
  int64_t record = 0;
  for (int64_t b = 0; b < group.blocks; ++b, tile += tile_bytes) {
    for (int sub = 0; sub < form.subs; ++sub, record += x.height) {
      constexpr int64_t ahead = 4096;
      const uint8_t* next = tile + ahead + sub * tile_bytes / form.subs;
      for (int line = 0; line < 512; line += 64) _mm_prefetch(reinterpret_cast<const char*>(next + line), _MM_HINT_T0);
      __m512i q[words];
#pragma GCC unroll 8
      for (int k = 0; k < words; ++k) q[k] = quants<type>(tile, sub, k, 0);
      Span span{.q = q, .scale = scale<type>(tile, sub, 0), .offset = {}};
      if constexpr (form.offsets) span.offset = offset<type>(tile, sub, 0);
      add_span<rows, words, form.offsets, narrow>(span, x, record, total);
    }
  }
  store(group, row, total);
}

/// Bytes of a span in a strip: quants, scales, offsets.
constexpr int64_t strip_bytes(int words) { return 64 * (words + 2); }

/// A group's tiles as a strip, which many rows of activations pass along.
template <BlockType type> TESSERA_BLOCKS_TARGET void unpack_strip(const Group& group, int8_t* to) {
  constexpr Form form = form_of(type);
  constexpr int words = form.span / 4;
  const uint8_t* tile = group.tiles;
  for (int64_t b = 0; b < group.blocks; ++b, tile += tile_rows * info(type).bytes) {
    for (int sub = 0; sub < form.subs; ++sub, to += strip_bytes(words)) {
#pragma GCC unroll 8
      for (int k = 0; k < words; ++k) _mm512_store_si512(to + 64 * k, quants<type>(tile, sub, k, 0));
      _mm512_store_ps(to + 64 * words, scale<type>(tile, sub, 0));
      if constexpr (form.offsets) _mm512_store_ps(to + 64 * (words + 1), offset<type>(tile, sub, 0));
    }
  }
}

template <int words, bool offsets, bool narrow, int rows>
TESSERA_BLOCKS_TARGET void along_strip(const int8_t* strip, int64_t spans, const Group& group, const Slice& x,
                                       int64_t row) {
  __m512 total[rows];
  for (auto& t : total) t = _mm512_setzero_ps();
  for (int64_t s = 0; s < spans; ++s, strip += strip_bytes(words)) {
    __m512i q[words];
#pragma GCC unroll 8
    for (int k = 0; k < words; ++k) q[k] = _mm512_load_si512(strip + 64 * k);
    Span span{.q = q, .scale = _mm512_load_ps(strip + 64 * words), .offset = {}};
    if constexpr (offsets) span.offset = _mm512_load_ps(strip + 64 * (words + 1));
    add_span<rows, words, offsets, narrow>(span, x, s * x.height, total);
  }
  store(group, row, total);
}

template <int words, bool offsets, bool narrow, size_t... rows>
void slice_along_strip(const int8_t* strip, int64_t spans, const Group& group, const Slice& x, int64_t row,
                       std::index_sequence<rows...>) {
  constexpr decltype(&along_strip<words, offsets, narrow, 1>) by_rows[] = {
      along_strip<words, offsets, narrow, static_cast<int>(rows) + 1>...};
  by_rows[x.rows - 1](strip, spans, group, x, row);
}

template <BlockType type, bool narrow, size_t... rows>
void slice_from_tiles(const Group& group, const Slice& x, int64_t row, std::index_sequence<rows...>) {
  constexpr decltype(&direct<type, narrow, 1>) by_rows[] = {direct<type, narrow, static_cast<int>(rows) + 1>...};
  by_rows[x.rows - 1](group, x, row);
}

constexpr int64_t most_rows_from_tiles = 32;

/// Unpacking again for every eight rows costs less than a strip that is written and read, but for many rows of types whose
/// quants take many steps.
template <BlockType type> bool goes_from_tiles(int64_t rows) {
  return form_of(type).subs == 1 || rows <= most_rows_from_tiles;
}

template <BlockType type, bool narrow>
void group_of(const Group& group, const Activations& x, std::vector<Activations::Line>& scratch) {
  constexpr Form form = form_of(type);
  constexpr int words = form.span / 4;
  const auto rows = std::make_index_sequence<most_height>();
  if (narrow ? x.rows <= most_rows_from_tiles : goes_from_tiles<type>(x.rows)) {
    for (int64_t index = 0; index < x.slices(); ++index)
      slice_from_tiles<type, narrow>(group, slice_of(x, index), index * x.height, rows);
    return;
  }
  const auto lines = static_cast<size_t>(x.spans() * strip_bytes(words) / 64);
  if (scratch.size() < lines) scratch.resize(lines);
  int8_t* strip = scratch.data()->bytes;
  unpack_strip<type>(group, strip);
  for (int64_t index = 0; index < x.slices(); ++index) {
    const Slice slice = slice_of(x, index);
    slice_along_strip<words, form.offsets, narrow>(strip, x.spans(), group, slice, index * x.height, rows);
  }
}

}  // namespace
}  // namespace avx512

bool processor_has(Path path) {
  if (path == Path::avx2)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  if (path == Path::avx512) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
  }
  return true;
}

TESSERA_BLOCKS_TARGET int32_t peak_bits_avx512(const float* x, int64_t span) {
  const __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
  __m512i peak = _mm512_and_si512(_mm512_loadu_si512(x), magnitude);
  if (span == 32) peak = _mm512_max_epi32(peak, _mm512_and_si512(_mm512_loadu_si512(x + 16), magnitude));
  return _mm512_reduce_max_epi32(peak);
}

TESSERA_BLOCKS_TARGET int32_t write_whole_avx512(const float* x, int64_t span, float inverse, bool narrow, int8_t* to) {
  __m512i sum = _mm512_setzero_si512();
  for (int64_t i = 0; i < span; i += 16) {
    const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + i), _mm512_set1_ps(inverse)));
    sum = _mm512_add_epi32(sum, whole);
    const auto put = [&](int64_t at) { return reinterpret_cast<__m128i*>(to + at); };
    if (narrow) {
      _mm_storeu_si128(put(i), _mm512_cvtepi32_epi8(whole));
      continue;
    }
    const __m512i high = _mm512_srai_epi32(_mm512_add_epi32(whole, _mm512_set1_epi32(128)), 8);
    _mm_storeu_si128(put(i), _mm512_cvtepi32_epi8(high));
    _mm_storeu_si128(put(span + i), _mm512_cvtepi32_epi8(whole));  // what is left has the low byte of the whole
  }
  return _mm512_reduce_add_epi32(sum);
}

void group_avx512(BlockType type, const Group& group, const Activations& x, std::vector<Activations::Line>& scratch) {
  with_type(type, [&]<BlockType each> {
    if (x.precision == Precision::eight_bits) avx512::group_of<each, true>(group, x, scratch);
    else avx512::group_of<each, false>(group, x, scratch);
  });
}

}  // namespace tessera::nn::blocks

#undef TESSERA_BLOCKS_TARGET
#undef TESSERA_BLOCKS_INLINE
