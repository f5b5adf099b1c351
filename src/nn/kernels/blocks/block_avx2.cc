// The AVX2 form of the product: two registers hold four inputs of each of sixteen rows. Bytes are widened to 16 bits and
// vpmaddwd multiplies them by activations of 16 bits, which is exact: a span's sum is below 32 * 255 * 32512 < 2^29.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "nn/kernels/blocks/block_product.h"

namespace tessera::nn::blocks {

namespace avx2 {

#define TESSERA_BLOCKS_TARGET __attribute__((target("avx2,fma,f16c")))
#define TESSERA_BLOCKS_INLINE TESSERA_BLOCKS_TARGET __attribute__((always_inline)) inline

using Word = __m256i;
using Float = __m256;

TESSERA_BLOCKS_INLINE Word load_words(const uint8_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
TESSERA_BLOCKS_INLINE __m128i eight_bytes(const uint8_t* from) {
  return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
}
TESSERA_BLOCKS_INLINE Word load_bytes(const uint8_t* from) { return _mm256_cvtepu8_epi32(eight_bytes(from)); }
TESSERA_BLOCKS_INLINE Word load_signed_bytes(const uint8_t* from) { return _mm256_cvtepi8_epi32(eight_bytes(from)); }
TESSERA_BLOCKS_INLINE Float load_halves(const uint8_t* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
TESSERA_BLOCKS_INLINE Word masked(Word a, uint32_t mask) {
  return _mm256_and_si256(a, _mm256_set1_epi32(static_cast<int>(mask)));
}
/// a | (b & mask)
TESSERA_BLOCKS_INLINE Word with_bits(Word a, Word b, uint32_t mask) { return _mm256_or_si256(a, masked(b, mask)); }
TESSERA_BLOCKS_INLINE Word shifted_right(Word a, int by) { return _mm256_srl_epi32(a, _mm_cvtsi32_si128(by)); }
TESSERA_BLOCKS_INLINE Word shifted_left(Word a, int by) { return _mm256_sll_epi32(a, _mm_cvtsi32_si128(by)); }
/// By -4 to 4 places. What is shifted out is lost, which no caller reads.
TESSERA_BLOCKS_INLINE Word rotated_right(Word a, int by) {
  return by < 0 ? shifted_left(a, -by) : shifted_right(a, by);
}
TESSERA_BLOCKS_INLINE Float to_float(Word a) { return _mm256_cvtepi32_ps(a); }
TESSERA_BLOCKS_INLINE Float product(Float a, Float b) { return _mm256_mul_ps(a, b); }
TESSERA_BLOCKS_INLINE Float negated(Float a) { return _mm256_sub_ps(_mm256_setzero_ps(), a); }

#include "nn/kernels/blocks/block_lanes-inl.h"

namespace {

constexpr int64_t most_rows = 4;          // at once: more sums than there are registers would not be faster
constexpr int64_t most_rows_direct = 32;  // up to so many, unpacking again for every four rows costs less than a strip

/// 16-bit numbers of four inputs of eight rows: inputs 0 and 2 of each, inputs 1 and 3.
struct Pairs {
  __m256i even, odd;
};

TESSERA_BLOCKS_INLINE Pairs pairs_of(__m256i bytes) {
  return {_mm256_and_si256(bytes, _mm256_set1_epi16(255)), _mm256_srli_epi16(bytes, 8)};
}

/// A span as it lies in a tile.
template <BlockType type> struct InTile {
  const uint8_t* tile;
  int sub;
  TESSERA_BLOCKS_INLINE Pairs pairs(int k, int half) const { return pairs_of(quants<type>(tile, sub, k, 8 * half)); }
  TESSERA_BLOCKS_INLINE __m256 scales(int half) const { return scale<type>(tile, sub, 8 * half); }
  TESSERA_BLOCKS_INLINE __m256 offsets(int half) const { return offset<type>(tile, sub, 8 * half); }
};

/// Bytes of a span in a strip: quants, scales, offsets.
constexpr int64_t strip_bytes(int words) { return 64 * (words + 2); }

/// A span as it lies in a strip.
template <int words> struct InStrip {
  const int8_t* strip;
  TESSERA_BLOCKS_INLINE __m256i numbers(int64_t at) const {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(strip + at));
  }
  TESSERA_BLOCKS_INLINE Pairs pairs(int k, int half) const { return pairs_of(numbers(64 * k + 32 * half)); }
  TESSERA_BLOCKS_INLINE __m256 scales(int half) const { return _mm256_castsi256_ps(numbers(64 * words + 32 * half)); }
  TESSERA_BLOCKS_INLINE __m256 offsets(int half) const {
    return _mm256_castsi256_ps(numbers(64 * (words + 1) + 32 * half));
  }
};

TESSERA_BLOCKS_INLINE __m256i two_numbers(const int8_t* from) {
  int32_t word;
  std::memcpy(&word, from, 4);
  return _mm256_set1_epi32(word);
}

template <int rows> struct Totals { __m256 of[rows][2]; };

/// Adds a span's products with each of `rows` rows of activations. Direct and strip products both end here, so that their
/// numbers are the same.
template <int rows, int words, bool offsets, class Span>
TESSERA_BLOCKS_INLINE void add_span(const Span& span, const Slice& x, int64_t record, Totals<rows>& total) {
  const int8_t* v = x.bytes + record * 8 * words;
  __m256i dot[rows][2];
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r) dot[r][0] = dot[r][1] = _mm256_set1_epi32(x.starts[record + r]);
#pragma GCC unroll 8
  for (int k = 0; k < words; ++k) {
    const Pairs upper = span.pairs(k, 0), lower = span.pairs(k, 1);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      const __m256i even = two_numbers(v + 8 * (r * words + k)), odd = two_numbers(v + 8 * (r * words + k) + 4);
      dot[r][0] = _mm256_add_epi32(dot[r][0], _mm256_madd_epi16(upper.even, even));
      dot[r][1] = _mm256_add_epi32(dot[r][1], _mm256_madd_epi16(lower.even, even));
      dot[r][0] = _mm256_add_epi32(dot[r][0], _mm256_madd_epi16(upper.odd, odd));
      dot[r][1] = _mm256_add_epi32(dot[r][1], _mm256_madd_epi16(lower.odd, odd));
      // the compiler would sum as a tree, for which there are not enough registers
      asm("" : "+x"(dot[r][0]), "+x"(dot[r][1]));
    }
  }
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    const __m256 scales = span.scales(half);
#pragma GCC unroll 4
    for (int r = 0; r < rows; ++r) {
      const __m256 factor = _mm256_mul_ps(scales, _mm256_set1_ps(x.scales[record + r]));
      __m256 sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[r][half]), factor, total.of[r][half]);
      if constexpr (offsets) sum = _mm256_fmadd_ps(span.offsets(half), _mm256_set1_ps(x.sums[record + r]), sum);
      total.of[r][half] = sum;
    }
  }
}

template <int rows> TESSERA_BLOCKS_INLINE Totals<rows> zeros() {
  Totals<rows> total;
  for (auto& row : total.of) row[0] = row[1] = _mm256_setzero_ps();
  return total;
}

template <int rows> TESSERA_BLOCKS_INLINE void store(const Group& group, int64_t row, const Totals<rows>& total) {
  for (int r = 0; r < rows; ++r) {
    alignas(32) float all[tile_rows];
    _mm256_store_ps(all, total.of[r][0]);
    _mm256_store_ps(all + 8, total.of[r][1]);
    std::copy(all + group.first, all + group.last, group.y + (row + r) * group.stride + group.first);
  }
}

/// Rows from `first` of a slice: quants go from the tile to registers and are used up.
template <BlockType type, int rows>
TESSERA_BLOCKS_TARGET void direct(const Group& group, const Slice& x, int64_t first, int64_t row) {
  constexpr Form form = form_of(type);
  constexpr int64_t tile_bytes = tile_rows * info(type).bytes;
  const uint8_t* tile = group.tiles;
  Totals<rows> total = zeros<rows>();
  int64_t record = first;
  for (int64_t b = 0; b < group.blocks; ++b, tile += tile_bytes) {
    for (int sub = 0; sub < form.subs; ++sub, record += x.height) {
      constexpr int64_t ahead = 4096, bytes = tile_bytes / form.subs;
      const uint8_t* next = tile + ahead + sub * bytes;
      for (int64_t line = 0; line < bytes; line += 64)
        _mm_prefetch(reinterpret_cast<const char*>(next + line), _MM_HINT_T0);
      add_span<rows, form.span / 4, form.offsets>(InTile<type>{tile, sub}, x, record, total);
    }
  }
  store(group, row + first, total);
}

/// A group's tiles as a strip, which many rows of activations pass along.
template <BlockType type> TESSERA_BLOCKS_TARGET void unpack_strip(const Group& group, int8_t* to) {
  constexpr Form form = form_of(type);
  constexpr int words = form.span / 4;
  const auto put = [&](int64_t at) { return reinterpret_cast<__m256i*>(to + at); };
  const uint8_t* tile = group.tiles;
  for (int64_t b = 0; b < group.blocks; ++b, tile += tile_rows * info(type).bytes) {
    for (int sub = 0; sub < form.subs; ++sub, to += strip_bytes(words)) {
      for (int half = 0; half < 2; ++half) {
#pragma GCC unroll 8
        for (int k = 0; k < words; ++k)
          _mm256_store_si256(put(64 * k + 32 * half), quants<type>(tile, sub, k, 8 * half));
        _mm256_store_si256(put(64 * words + 32 * half), _mm256_castps_si256(scale<type>(tile, sub, 8 * half)));
        if constexpr (form.offsets)
          _mm256_store_si256(put(64 * (words + 1) + 32 * half), _mm256_castps_si256(offset<type>(tile, sub, 8 * half)));
      }
    }
  }
}

/// Rows from `first` of a slice.
template <int words, bool offsets, int rows>
TESSERA_BLOCKS_TARGET void along_strip(const int8_t* strip, int64_t spans, const Group& group, const Slice& x,
                                       int64_t first, int64_t row) {
  Totals<rows> total = zeros<rows>();
  for (int64_t s = 0; s < spans; ++s, strip += strip_bytes(words))
    add_span<rows, words, offsets>(InStrip<words>{strip}, x, s * x.height + first, total);
  store(group, row + first, total);
}

template <BlockType type>
void group_of(const Group& group, const Activations& x, std::vector<Activations::Line>& scratch) {
  constexpr Form form = form_of(type);
  constexpr int words = form.span / 4;
  const auto each_few = [&](const auto& use) {
    for (int64_t index = 0; index < x.slices(); ++index) {
      const Slice slice = slice_of(x, index);
      for (int64_t first = 0; first < slice.rows; first += most_rows)
        use(slice, first, std::min(most_rows, slice.rows - first), index * x.height);
    }
  };
  if (x.rows <= most_rows_direct) {
    constexpr decltype(&direct<type, 1>) by_rows[] = {direct<type, 1>, direct<type, 2>, direct<type, 3>,
                                                      direct<type, 4>};
    each_few([&](const Slice& slice, int64_t first, int64_t rows, int64_t row) {
      by_rows[rows - 1](group, slice, first, row);
    });
    return;
  }
  constexpr decltype(&along_strip<words, form.offsets, 1>) by_rows[] = {
      along_strip<words, form.offsets, 1>, along_strip<words, form.offsets, 2>, along_strip<words, form.offsets, 3>,
      along_strip<words, form.offsets, 4>};
  const auto lines = static_cast<size_t>(x.spans() * strip_bytes(words) / 64);
  if (scratch.size() < lines) scratch.resize(lines);
  int8_t* strip = scratch.data()->bytes;
  unpack_strip<type>(group, strip);
  each_few([&](const Slice& slice, int64_t first, int64_t rows, int64_t row) {
    by_rows[rows - 1](strip, x.spans(), group, slice, first, row);
  });
}

}  // namespace
}  // namespace avx2

void group_avx2(BlockType type, const Group& group, const Activations& x, std::vector<Activations::Line>& scratch) {
  with_type(type, [&]<BlockType each> { avx2::group_of<each>(group, x, scratch); });
}

}  // namespace tessera::nn::blocks

#undef TESSERA_BLOCKS_TARGET
#undef TESSERA_BLOCKS_INLINE
