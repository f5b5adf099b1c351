// Keys are taken in spans of 64 that begin at multiples of 64, whatever the tile: each span is widened and its keys transposed once,
// four queries at a time are multiplied with it in registers, and the softmax goes along (a running maximum and sum).
#include "nn/kernels/tile_attention.h"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define TESSERA_WIDE __attribute__((target("arch=x86-64-v4")))
#define TESSERA_EACH_CPU __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define TESSERA_EACH_CPU
#endif
#define TESSERA_BODY __attribute__((always_inline)) inline

namespace tessera::nn::blocks {

namespace {

#include "nn/kernels/vectors-inl.h"

constexpr int64_t span = 64;      // keys that are multiplied at once
constexpr int64_t together = 4;   // queries
constexpr float unseen = -1e30f;  // below any score; finite, so that differences stay numbers

int64_t whole_lanes(int64_t count) { return (count + lanes - 1) / lanes * lanes; }

/// Parts of the scratch.
struct Room {
  float* q;           // [rows, head_dim], rows a multiple of `together`
  float* keys;        // [dim, span]
  float* values;      // [span, dim]
  float* sums;        // [rows, dim]
  float *most, *all;  // [rows]: largest score so far, sum of the weights
  int64_t dim;        // head_dim in whole vectors
};

Room room_of(const Tile& c, std::vector<float>& scratch) {
  const int64_t rows = (c.positions * c.heads + together - 1) / together * together, dim = whole_lanes(c.head_dim);
  scratch.resize(static_cast<size_t>(rows * (c.head_dim + dim + 2) + 2 * span * dim));
  Room room{.q = scratch.data(), .keys = {}, .values = {}, .sums = {}, .most = {}, .all = {}, .dim = dim};
  room.keys = room.q + rows * c.head_dim;
  room.values = room.keys + span * dim;
  room.sums = room.values + span * dim;
  room.most = room.sums + rows * dim;
  room.all = room.most + rows;
  const int64_t given = c.positions * c.heads * c.head_dim;
  std::copy_n(c.q, given, room.q);
  std::fill(room.q + given, room.keys, 0.0f);
  std::fill(room.sums, room.most, 0.0f);
  std::fill(room.most, room.all, unseen);
  std::fill_n(room.all, rows, 0.0f);
  return room;
}

/// Positions from `from` on as fp32 rows [span, dim]; zeros beyond `end`.
template <class T>
TESSERA_BODY void widen(const Tile& c, bool of_keys, int64_t from, int64_t end, int64_t dim, float* to) {
  for (int64_t j = 0; j < span; ++j, to += dim) {
    const int64_t at = from + j, whole = c.head_dim / lanes * lanes;
    if (at >= end) {
      std::memset(to, 0, static_cast<size_t>(dim) * sizeof(float));
      continue;
    }
    const Block& block = c.blocks[at / c.block_size];
    const int64_t within = at % c.block_size;
    const T* const row = static_cast<const T*>(of_keys ? block.keys : block.values) + within * c.head_dim;
    const float* const scales = of_keys ? block.key_scales : block.value_scales;
    const float scale = scales != nullptr ? scales[within] : 1.0f;
    for (int64_t i = 0; i < whole; i += lanes) {
      Floats x;
      load(row + i, x);
      x *= scale;
      store(x, to + i);
    }
    for (int64_t i = whole; i < dim; ++i) to[i] = i < c.head_dim ? one(row[i]) * scale : 0;
  }
}

/// Rows of sixteen, `stride` apart, become columns: each of four steps interleaves the first half of the rows with the second.
TESSERA_BODY void transpose_square(const float* from, int64_t stride, float* to, int64_t to_stride) {
  constexpr Ints low = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
  constexpr Ints high = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  Floats a[lanes], b[lanes];
#pragma GCC unroll 16
  for (int i = 0; i < lanes; ++i) load(from + i * stride, a[i]);
#pragma GCC unroll 2
  for (int step = 0; step < 2; ++step) {
#pragma GCC unroll 8
    for (int i = 0; i < lanes / 2; ++i) {
      b[2 * i] = __builtin_shuffle(a[i], a[i + 8], low);
      b[2 * i + 1] = __builtin_shuffle(a[i], a[i + 8], high);
    }
#pragma GCC unroll 8
    for (int i = 0; i < lanes / 2; ++i) {
      a[2 * i] = __builtin_shuffle(b[i], b[i + 8], low);
      a[2 * i + 1] = __builtin_shuffle(b[i], b[i + 8], high);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < lanes; ++i) store(a[i], to + i * to_stride);
}

/// from [span, dim] -> to [dim, span]. With registers of sixteen numbers in squares, otherwise one by one.
template <int width> TESSERA_BODY void transpose(const float* from, int64_t dim, float* to) {
  if constexpr (width > 1) {
    for (int64_t j = 0; j < span; j += lanes) {
      for (int64_t i = 0; i < dim; i += lanes) transpose_square(from + j * dim + i, dim, to + i * span + j, span);
    }
  } else {
    for (int64_t i = 0; i < dim; ++i) {
      for (int64_t j = 0; j < span; ++j) to[i * span + j] = from[j * dim + i];
    }
  }
}

/// Scores [together, span] of four queries with a span, `width` vectors of keys at a time.
template <int width> TESSERA_BODY void score(const float* q, const float* keys, int64_t head_dim, float* scores) {
  for (int64_t j = 0; j < span; j += width * lanes) {
    Floats sums[together][width] = {};
    for (int64_t d = 0; d < head_dim; ++d) {
      Floats k[width];
#pragma GCC unroll 4
      for (int w = 0; w < width; ++w) load(keys + d * span + j + w * lanes, k[w]);
#pragma GCC unroll 4
      for (int i = 0; i < together; ++i) {
#pragma GCC unroll 4
        for (int w = 0; w < width; ++w) sums[i][w] += q[i * head_dim + d] * k[w];
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < together; ++i) {
#pragma GCC unroll 4
      for (int w = 0; w < width; ++w) store(sums[i][w], scores + i * span + j + w * lanes);
    }
  }
}

/// cap * tanh(x / cap), by way of exp(-2 |x| / cap).
TESSERA_BODY void cap_in_place(Floats& x, float cap) {
  const Floats size = x < 0.0f ? -x : x;
  Floats power = size * (-2 / cap);
  exp_in_place(power);
  const Floats limited = cap * (1.0f - power) / (1.0f + power);
  x = x < 0.0f ? -limited : limited;
}

/// Every lane becomes the largest of all, or their sum; in the order of across(), without leaving the register.
template <bool largest> TESSERA_BODY Floats through(Floats v) {
  constexpr Ints order[] = {{8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7},
                            {4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11},
                            {2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13},
                            {1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14}};
#pragma GCC unroll 4
  for (const Ints& by : order) {
    const Floats other = __builtin_shuffle(v, by);
    v = largest ? (other > v ? other : v) : v + other;
  }
  return v;
}
template <int width, bool largest> TESSERA_BODY Floats reduced(const Floats& v) {
  if constexpr (width > 1) return through<largest>(v);
  else return Floats{} + across<largest>(v);
}

/// Scores outside of begin to end become ones that weigh nothing.
TESSERA_BODY void hide(float* scores, int64_t begin, int64_t end) {
  for (int64_t j = 0; j < begin; ++j) scores[j] = unseen;
  for (int64_t j = end; j < span; ++j) scores[j] = unseen;
}

/// Scores of one query become weights relative to its largest score so far, 0 where it does not see; returns by how much what is summed
/// already shrinks.
template <int width>
TESSERA_BODY float weigh(float* scores, int64_t begin, int64_t end, float cap, float& most, float& all) {
  constexpr int64_t count = span / lanes;
  if (begin >= end) {
    std::fill_n(scores, span, 0.0f);
    return 1;
  }
  Floats s[count];
  if (cap > 0) {
    for (int64_t j = 0; j < span; j += lanes) {
      load(scores + j, s[0]);
      cap_in_place(s[0], cap);
      store(s[0], scores + j);
    }
  }
  if (begin > 0 || end < span) hide(scores, begin, end);
#pragma GCC unroll 4
  for (int w = 0; w < count; ++w) load(scores + w * lanes, s[w]);
  Floats peak = s[0], total = {};
#pragma GCC unroll 4
  for (int w = 1; w < count; ++w) peak = s[w] > peak ? s[w] : peak;
  const Floats before = Floats{} + most, tallest = reduced<width, true>(peak);
  const Floats now = tallest > before ? tallest : before;
  Floats shrink = before - now;
  exp_in_place(shrink);
#pragma GCC unroll 4
  for (int w = 0; w < count; ++w) {
    s[w] -= now;
    exp_in_place(s[w]);
    total += s[w];
    store(s[w], scores + w * lanes);
  }
  most = now[0];
  all = all * shrink[0] + reduced<width, false>(total)[0];
  return shrink[0];
}

/// sums [together, dim] = sums * shrink + weights [together, span] times values, for `width` vectors from number `at` on.
template <int width>
TESSERA_BODY void add_values(const float* weights, const float* shrink, const float* values, int64_t begin, int64_t end,
                             int64_t dim, int64_t at, float* sums) {
  Floats total[together][width];
#pragma GCC unroll 4
  for (int i = 0; i < together; ++i) {
#pragma GCC unroll 4
    for (int w = 0; w < width; ++w) {
      load(sums + i * dim + at + w * lanes, total[i][w]);
      total[i][w] *= shrink[i];
    }
  }
  for (int64_t j = begin; j < end; ++j) {
    Floats v[width];
#pragma GCC unroll 4
    for (int w = 0; w < width; ++w) load(values + j * dim + at + w * lanes, v[w]);
#pragma GCC unroll 4
    for (int i = 0; i < together; ++i) {
#pragma GCC unroll 4
      for (int w = 0; w < width; ++w) total[i][w] += weights[i * span + j] * v[w];
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < together; ++i) {
#pragma GCC unroll 4
    for (int w = 0; w < width; ++w) store(total[i][w], sums + i * dim + at + w * lanes);
  }
}

/// Queries row to row + 3 with the span that begins at `from`.
template <int width> TESSERA_BODY void take_span(const Tile& c, const Room& room, int64_t row, int64_t from) {
  int64_t begin[together], end[together], first = span, last = 0;
  for (int i = 0; i < together; ++i) {
    const int64_t at = c.first + std::min((row + i) / c.heads, c.positions - 1);
    begin[i] = c.window > 0 ? std::clamp<int64_t>(at + 1 - c.window - from, 0, span) : 0;
    end[i] = std::clamp<int64_t>(at + 1 - from, 0, span);
    if (begin[i] >= end[i]) continue;
    first = std::min(first, begin[i]);
    last = std::max(last, end[i]);
  }
  if (first >= last) return;
  float scores[together * span], shrink[together];
  score<width>(room.q + row * c.head_dim, room.keys, c.head_dim, scores);
  for (int i = 0; i < together; ++i)
    shrink[i] = weigh<width>(scores + i * span, begin[i], end[i], c.cap, room.most[row + i], room.all[row + i]);
  float* const sums = room.sums + row * room.dim;
  int64_t at = 0;
  for (; at + width * lanes <= room.dim; at += width * lanes)
    add_values<width>(scores, shrink, room.values, first, last, room.dim, at, sums);
  for (; at < room.dim; at += lanes) add_values<1>(scores, shrink, room.values, first, last, room.dim, at, sums);
}

template <int width, class T> TESSERA_BODY void attend_in(const Tile& c, std::vector<float>& scratch) {
  const Room room = room_of(c, scratch);
  const int64_t rows = c.positions * c.heads, end = c.first + c.positions;
  const int64_t begin = c.window > 0 ? std::max<int64_t>(0, c.first + 1 - c.window) / span * span : 0;
  for (int64_t from = begin; from < end; from += span) {
    widen<T>(c, true, from, end, room.dim, room.values);
    transpose<width>(room.values, room.dim, room.keys);
    widen<T>(c, false, from, end, room.dim, room.values);
    for (int64_t row = 0; row < rows; row += together) take_span<width>(c, room, row, from);
  }
  for (int64_t row = 0; row < rows; ++row) {
    float* const to = c.out + row / c.heads * c.stride + row % c.heads * c.head_dim;
    const float inverse = 1 / room.all[row];
    for (int64_t i = 0; i < c.head_dim; ++i) to[i] = room.sums[row * room.dim + i] * inverse;
  }
}

/// How many vectors go with four queries is a matter of how many registers there are; it changes no bit.
constexpr int narrow = 1;
TESSERA_EACH_CPU void tile_fp32(const Tile& tile, std::vector<float>& room) { attend_in<narrow, float>(tile, room); }
TESSERA_EACH_CPU void tile_bf16(const Tile& tile, std::vector<float>& room) { attend_in<narrow, uint16_t>(tile, room); }
TESSERA_EACH_CPU void tile_int8(const Tile& tile, std::vector<float>& room) { attend_in<narrow, int8_t>(tile, room); }

#ifdef TESSERA_WIDE
constexpr int wide = 4;
TESSERA_WIDE void wide_fp32(const Tile& tile, std::vector<float>& room) { attend_in<wide, float>(tile, room); }
TESSERA_WIDE void wide_bf16(const Tile& tile, std::vector<float>& room) { attend_in<wide, uint16_t>(tile, room); }
TESSERA_WIDE void wide_int8(const Tile& tile, std::vector<float>& room) { attend_in<wide, int8_t>(tile, room); }
#endif

}  // namespace

void attend(Format format, const Tile& tile, std::vector<float>& scratch) {
#ifdef TESSERA_WIDE
  static const bool has_wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                               __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                               __builtin_cpu_supports("avx512vl");
  if (has_wide) {
    if (format == Format::fp32) wide_fp32(tile, scratch);
    else if (format == Format::bf16) wide_bf16(tile, scratch);
    else wide_int8(tile, scratch);
    return;
  }
#endif
  if (format == Format::fp32) tile_fp32(tile, scratch);
  else if (format == Format::bf16) tile_bf16(tile, scratch);
  else tile_int8(tile, scratch);
}

}  // namespace tessera::nn::blocks
