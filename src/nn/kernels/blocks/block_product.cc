// Rounding of activations, the order of rows in memory, and the choice of path. Every path forms the same whole-number sums
// and adds spans in the order of inputs.
#include "nn/kernels/blocks/block_product.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define TESSERA_BLOCKS_EACH_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define TESSERA_BLOCKS_EACH_CPU
#endif

namespace tessera::nn::blocks {

namespace {

constexpr int64_t most_span = 32;

/// To the nearest whole number, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves it in the low bits.
int32_t to_whole(float x) { return std::bit_cast<int32_t>(x + 12582912.0f) - std::bit_cast<int32_t>(12582912.0f); }

/// The largest magnitude, as bits: those of magnitudes are ordered as the magnitudes are, infinity and NaN last.
TESSERA_BLOCKS_EACH_CPU int32_t peak_bits(const float* x, int64_t count) {
  int32_t peak = 0;
  for (int64_t i = 0; i < count; ++i) peak = std::max(peak, std::bit_cast<int32_t>(x[i]) & 0x7FFFFFFF);
  return peak;
}

/// Whole numbers of one span, 16 bits each, of four inputs first the even ones, then the odd ones; returns their sum.
TESSERA_BLOCKS_EACH_CPU int32_t write_pairs(const float* __restrict x, int64_t span, float inverse, int8_t* to) {
  int32_t whole[most_span], sum = 0;
  for (int64_t i = 0; i < span; ++i) {
    whole[i] = to_whole(x[i] * inverse);
    sum += whole[i];
  }
  auto* pairs = reinterpret_cast<int16_t*>(to);
  for (int64_t i = 0; i < span; i += 4, pairs += 4) {
    pairs[0] = static_cast<int16_t>(whole[i]);
    pairs[1] = static_cast<int16_t>(whole[i + 2]);
    pairs[2] = static_cast<int16_t>(whole[i + 1]);
    pairs[3] = static_cast<int16_t>(whole[i + 3]);
  }
  return sum;
}

void round_span(const float* x, Activations& to, int64_t record) {
  const bool narrow = to.span_bytes == to.span;
  // 127 * 256: its high byte fits 8 signed bits after the low byte's carry
  const float largest = narrow ? 127.0f : 32512.0f;
  const auto at = static_cast<size_t>(record);
  int8_t* bytes = to.lines.data()->bytes + record * to.span_bytes;
  const bool in_registers = to.path == Path::avx512;
  const float peak = std::bit_cast<float>(in_registers ? peak_bits_avx512(x, to.span) : peak_bits(x, to.span));
  if (!std::isfinite(peak)) {
    to.scales[at] = to.sums[at] = std::numeric_limits<float>::quiet_NaN();
    to.starts[at] = 0;
    std::fill_n(bytes, to.span_bytes, int8_t{0});
    return;
  }
  const float inverse = peak > 0 ? std::min(largest / peak, std::numeric_limits<float>::max()) : 0;
  const int32_t sum =
      in_registers ? write_whole_avx512(x, to.span, inverse, narrow, bytes) : write_pairs(x, to.span, inverse, bytes);
  to.scales[at] = peak / largest;
  to.starts[at] = -to.zero * sum;
  to.sums[at] = to.scales[at] * static_cast<float>(sum);
}

using GroupProduct = void (*)(BlockType, const Group&, const Activations&, std::vector<Activations::Line>&);
GroupProduct group_product(Path path) {
  return path == Path::avx512 ? group_avx512 : path == Path::avx2 ? group_avx2 : group_portable;
}

}  // namespace

bool runs(Path path) { return path == Path::portable || processor_has(path); }

Path best_path() {
  for (const Path path : {Path::avx512, Path::avx2}) {
    if (runs(path)) return path;
  }
  return Path::portable;
}

void arrange(BlockType type, const uint8_t* file, int64_t out, int64_t in, int64_t begin, int64_t end, uint8_t* to) {
  const int64_t row_bytes = bytes_of(type, in), blocks = in / info(type).weights;
  for (int64_t g = begin; g < end; ++g) {
    const int64_t first = g * tile_rows, rows = std::min(tile_rows, out - first), at = first * row_bytes;
    if (rows == tile_rows && interleaves(type)) interleave(type, file + at, row_bytes, blocks, to + at);
    else std::copy_n(file + at, rows * row_bytes, to + at);
  }
}

void unpack_rows(const Matrix& weight, int64_t first, int64_t count, float* to) {
  const int64_t row_bytes = weight.row_bytes(), blocks = weight.in / info(weight.type).weights;
  std::vector<uint8_t> row(weight.tiled_rows() > first ? static_cast<size_t>(row_bytes) : 0);
  for (int64_t r = first; r < first + count; ++r, to += weight.in) {
    const uint8_t* bytes = weight.bytes + r * row_bytes;
    if (r < weight.tiled_rows()) {
      const int64_t within = r % tile_rows;
      deinterleave(weight.type, weight.bytes + (r - within) * row_bytes, within, blocks, row.data());
      bytes = row.data();
    }
    unpack(weight.type, bytes, weight.in, to);
  }
}

Activations room_for(BlockType type, int64_t rows, int64_t in, Path path, Precision precision, Activations reused) {
  const Form form = form_of(type);
  reused.path = path;
  reused.precision = precision;
  reused.rows = rows;
  reused.in = in;
  reused.span = form.span;
  reused.zero = form.zero;
  reused.height = std::clamp<int64_t>(rows, 1, most_height);
  const bool narrow = precision == Precision::eight_bits && path == Path::avx512;
  reused.span_bytes = narrow ? form.span : 2 * form.span;
  const int64_t records = reused.slices() * reused.height * reused.spans();
  reused.lines.resize(static_cast<size_t>((records * reused.span_bytes + 63) / 64));
  reused.scales.resize(static_cast<size_t>(records));
  reused.starts.resize(reused.scales.size());
  reused.sums.resize(reused.scales.size());
  return reused;
}

void round_slices(const float* x, int64_t begin, int64_t end, Activations& to) {
  const int64_t first = begin * to.height, last = std::min(end * to.height, to.rows);
  round_part({.x = x + first * to.in, .stride = to.in, .begin = first, .end = last, .first = 0, .last = to.in}, to);
}

void round_part(const Part& part, Activations& to) {
  const float* row = part.x;
  for (int64_t r = part.begin; r < part.end; ++r, row += part.stride) {
    const float* x = row;
    int64_t record = (r / to.height * to.spans() + part.first / to.span) * to.height + r % to.height;
    for (int64_t i = part.first; i < part.last; i += to.span, x += to.span, record += to.height)
      round_span(x, to, record);
  }
}

Activations rounded(BlockType type, const float* x, int64_t rows, int64_t in, Path path, Precision precision) {
  Activations all = room_for(type, rows, in, path, precision);
  round_slices(x, 0, all.slices(), all);
  return all;
}

Slice slice_of(const Activations& x, int64_t index) {
  const int64_t record = index * x.spans() * x.height;
  return {.bytes = x.lines.data()->bytes + record * x.span_bytes,
          .scales = x.scales.data() + record,
          .starts = x.starts.data() + record,
          .sums = x.sums.data() + record,
          .rows = std::min(x.height, x.rows - index * x.height),
          .height = x.height};
}

void multiply(const Matrix& weight, const Activations& x, int64_t begin, int64_t end, float* y) {
  thread_local std::vector<Activations::Line> scratch;
  const GroupProduct product = group_product(x.path);
  const int64_t row_bytes = weight.row_bytes(), blocks = weight.in / info(weight.type).weights;
  std::vector<uint8_t> padded;
  for (int64_t start = begin / tile_rows * tile_rows; start < end; start += tile_rows) {
    const uint8_t* tiles = weight.bytes + start * row_bytes;
    if (start >= weight.tiled_rows()) {  // fewer than sixteen rows: zeros below them
      std::vector<uint8_t> rows(static_cast<size_t>(tile_rows * row_bytes));
      std::copy_n(tiles, (weight.out - start) * row_bytes, rows.data());
      padded.resize(rows.size());
      interleave(weight.type, rows.data(), row_bytes, blocks, padded.data());
      tiles = padded.data();
    }
    const Group group = {.tiles = tiles,
                         .blocks = blocks,
                         .y = y + start,
                         .stride = weight.out,
                         .first = std::max(begin - start, int64_t{0}),
                         .last = std::min(end - start, tile_rows)};
    product(weight.type, group, x, scratch);
  }
}

void multiply_unpacked(const Matrix& weight, const float* x, int64_t rows, int64_t begin, int64_t end, float* y) {
  std::vector<float> row(static_cast<size_t>(weight.in));
  constexpr int64_t lanes = 8;
  for (int64_t o = begin; o < end; ++o) {
    unpack_rows(weight, o, 1, row.data());
    for (int64_t r = 0; r < rows; ++r) {
      float parts[lanes] = {};
      const float* from = x + r * weight.in;
      for (int64_t i = 0; i < weight.in; i += lanes) {  // blocks have a multiple of 32 weights
        for (int64_t l = 0; l < lanes; ++l) parts[l] += row[static_cast<size_t>(i + l)] * from[i + l];
      }
      float total = 0;
      for (const float part : parts) total += part;
      y[r * weight.out + o] = total;
    }
  }
}

}  // namespace tessera::nn::blocks

#undef TESSERA_BLOCKS_EACH_CPU
