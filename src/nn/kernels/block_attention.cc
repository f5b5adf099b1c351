// Scores over all blocks, a softmax, then the values over all blocks. Vectors of sixteen numbers are the compiler's own, so
// that one body serves every processor; what a head's last numbers are short of sixteen goes one by one.
#include "nn/kernels/block_attention.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define TESSERA_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TESSERA_EACH_CPU
#endif
#define TESSERA_BODY __attribute__((always_inline)) inline

namespace tessera::nn::blocks {

namespace {

#include "nn/kernels/vectors-inl.h"

/// Loads 32 numbers. Of bf16, `even` gets those at even positions and `odd` the others, because a shift and a mask then widen them; queries
/// and outputs are deinterleaved to match.
template <class T> TESSERA_BODY void load_two(const T* from, Floats& a, Floats& b) {
  load(from, a);
  load(from + lanes, b);
}
TESSERA_BODY void load_two(const uint16_t* from, Floats& even, Floats& odd) {
  static_assert(std::endian::native == std::endian::little);
  Words both;
  std::memcpy(&both, from, sizeof both);
  const Words low = both << 16, high = both & 0xFFFF0000u;
  std::memcpy(&even, &low, sizeof low);
  std::memcpy(&odd, &high, sizeof high);
}

/// Numbers in the order in which load_two() gives those of a T; `count` is a multiple of 32.
template <class T> TESSERA_BODY void deinterleave(const float* from, int64_t count, float* to) {
  if (!std::is_same_v<T, uint16_t>) {
    std::copy_n(from, count, to);
    return;
  }
  for (int64_t i = 0; i < count; i += 2 * lanes) {
    for (int64_t j = 0; j < lanes; ++j) {
      to[i + j] = from[i + 2 * j];
      to[i + lanes + j] = from[i + 2 * j + 1];
    }
  }
}
/// The other way, in place.
template <class T> TESSERA_BODY void interleave(float* numbers, int64_t count) {
  if (!std::is_same_v<T, uint16_t>) return;
  for (int64_t i = 0; i < count; i += 2 * lanes) {
    float in_order[2 * lanes];
    for (int64_t j = 0; j < lanes; ++j) {
      in_order[2 * j] = numbers[i + j];
      in_order[2 * j + 1] = numbers[i + lanes + j];
    }
    std::copy_n(in_order, 2 * lanes, numbers + i);
  }
}

/// One or two vectors of numbers as they are read together.
template <int vectors, class T> TESSERA_BODY void load_some(const T* from, Floats (&to)[vectors]) {
  if constexpr (vectors == 2) load_two(from, to[0], to[1]);
  else load(from, to[0]);
}

/// Takes `count` numbers into the cache that are read soon.
template <class T> TESSERA_BODY void prefetch(const T* from, int64_t count) {
  const auto* bytes = reinterpret_cast<const char*>(from);
  for (int64_t i = 0; i < count * static_cast<int64_t>(sizeof(T)); i += 64) __builtin_prefetch(bytes + i);
}

template <int vectors, class T> TESSERA_BODY float dot(const float* q, const T* k, int64_t count) {
  constexpr int64_t step = vectors * lanes;
  Floats sums = {};
  const int64_t whole = count / step * step;
  for (int64_t i = 0; i < whole; i += step) {
    Floats a, b[vectors];
    load_some(k + i, b);
    for (int w = 0; w < vectors; ++w) {
      load(q + i + w * lanes, a);
      sums += a * b[w];
    }
  }
  float sum = across<false>(sums);
  for (int64_t i = whole; i < count; ++i) sum += q[i] * one(k[i]);
  return sum;
}

constexpr int64_t sums_at_once = 8;

/// to[p] = across<false>(v[p]): the same sums in the same order, eight side by side.
TESSERA_BODY void across_each(const Floats (&v)[sums_at_once], float* to) {
  typedef float Eight __attribute__((vector_size(32), aligned(4)));
  Eight half[8], quarter[4], pair[2];
#pragma GCC unroll 8
  for (int p = 0; p < 8; ++p) {
    Eight both[2];
    std::memcpy(both, &v[p], sizeof both);
    half[p] = both[0] + both[1];
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {  // four lanes of sum 2 i, four of sum 2 i + 1
    const Eight a = half[2 * i], b = half[2 * i + 1];
    quarter[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11) +
                 __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {  // two lanes each of sums 4 i, 4 i + 2, 4 i + 1, 4 i + 3
    const Eight a = quarter[2 * i], b = quarter[2 * i + 1];
    pair[i] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13) +
              __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  }
  const Eight sums = __builtin_shufflevector(pair[0], pair[1], 0, 4, 2, 6, 8, 12, 10, 14) +
                     __builtin_shufflevector(pair[0], pair[1], 1, 5, 3, 7, 9, 13, 11, 15);
  std::memcpy(to, &sums, sizeof sums);
}

/// to[j] = dot(q, k + j * count, count) for positions from `from` to before `to_position`. `next`: the block that is
/// read after this one and is prefetched meanwhile; may be null.
template <int vectors, class T>
TESSERA_BODY void dots(const float* q, const T* k, int64_t count, int64_t from, int64_t to_position, const T* next,
                       float* to) {
  constexpr int64_t step = vectors * lanes;
  int64_t j = from;
  if (count % step == 0) {
    for (; j + sums_at_once <= to_position; j += sums_at_once) {
      if (next != nullptr) prefetch(next + j * count, sums_at_once * count);
      Floats sums[sums_at_once] = {};
      for (int64_t i = 0; i < count; i += step) {
        Floats a[vectors];
        for (int w = 0; w < vectors; ++w) load(q + i + w * lanes, a[w]);
#pragma GCC unroll 8
        for (int p = 0; p < sums_at_once; ++p) {
          Floats b[vectors];
          load_some(k + (j + p) * count + i, b);
          for (int w = 0; w < vectors; ++w) sums[p] += a[w] * b[w];
        }
      }
      across_each(sums, to + j);
    }
  }
  for (; j < to_position; ++j) to[j] = dot<vectors>(q, k + j * count, count);
}

/// Positions of a block with their weights; `next` as of dots().
template <class T> struct Weighted {
  const float *weights, *scales;
  const T *values, *next;
  int64_t from, to, head_dim;
  float weight(int64_t j) const { return scales != nullptr ? weights[j] * scales[j] : weights[j]; }
};

/// out += weights times values, for `width` vectors of numbers of each value from number `at` on.
template <int vectors, int width, class T> TESSERA_BODY void add_vectors(const Weighted<T>& c, int64_t at, float* out) {
  Floats sums[width];
#pragma GCC unroll 4
  for (int w = 0; w < width; ++w) load(out + at + w * lanes, sums[w]);
  for (int64_t j = c.from; j < c.to; ++j) {
    if (at == 0 && c.next != nullptr) prefetch(c.next + j * c.head_dim, c.head_dim);
    const float weight = c.weight(j);
#pragma GCC unroll 4
    for (int w = 0; w < width; w += vectors) {
      Floats v[vectors];
      load_some(c.values + j * c.head_dim + at + w * lanes, v);
      for (int i = 0; i < vectors; ++i) sums[w + i] += weight * v[i];
    }
  }
#pragma GCC unroll 4
  for (int w = 0; w < width; ++w) store(sums[w], out + at + w * lanes);
}

/// out += weights times values; sums stay in registers.
template <int vectors, class T> TESSERA_BODY void add_values(const Weighted<T>& c, float* out) {
  constexpr int64_t four = 4 * lanes, few = vectors * lanes;
  int64_t i = 0;
  for (; i + four <= c.head_dim; i += four) add_vectors<vectors, 4>(c, i, out);
  for (; i + few <= c.head_dim; i += few) add_vectors<vectors, vectors>(c, i, out);
  for (; i < c.head_dim; ++i) {
    for (int64_t j = c.from; j < c.to; ++j) out[i] += c.weight(j) * one(c.values[j * c.head_dim + i]);
  }
}

/// Scores become weights that sum to 1; `scores` has room for whole vectors.
TESSERA_BODY void softmax(float* scores, int64_t count) {
  const int64_t padded = (count + lanes - 1) / lanes * lanes;
  for (int64_t j = count; j < padded; ++j) scores[j] = -1e30f;
  Floats v, peak, sum = {};
  load(scores, peak);
  for (int64_t j = lanes; j < padded; j += lanes) {
    load(scores + j, v);
    peak = v > peak ? v : peak;
  }
  const float most = across<true>(peak);
  for (int64_t j = 0; j < padded; j += lanes) {
    load(scores + j, v);
    v -= most;
    exp_in_place(v);
    sum += v;  // 0 beyond `count`
    store(v, scores + j);
  }
  const float inverse = 1 / across<false>(sum);
  for (int64_t j = 0; j < count; ++j) scores[j] *= inverse;
}

template <int vectors, class T> TESSERA_BODY void attend_in(const Query& c, std::vector<float>& scratch) {
  constexpr bool twos = vectors == 2;
  const int64_t seen = c.end - c.begin, room = (seen + lanes - 1) / lanes * lanes, all = c.heads * c.head_dim;
  scratch.resize(static_cast<size_t>(c.heads * room + all));
  float *const scores = scratch.data(), *const q = scores + c.heads * room;
  if (twos) deinterleave<T>(c.q, all, q);
  else std::copy_n(c.q, all, q);
  const int64_t first = c.begin / c.block_size, last = (c.end - 1) / c.block_size;
  const auto bounds = [&](int64_t b) {  // of the visible positions in a block
    return std::pair(std::max<int64_t>(c.begin - b * c.block_size, 0),
                     std::min(c.end - b * c.block_size, c.block_size));
  };
  for (int64_t b = first; b <= last; ++b) {
    const Block& block = c.blocks[b];
    const auto [from, to] = bounds(b);
    const auto* keys = static_cast<const T*>(block.keys);
    const auto* next = static_cast<const T*>(b < last ? c.blocks[b + 1].keys : c.blocks[first].values);
    for (int64_t h = 0; h < c.heads; ++h) {
      float* const own = scores + h * room + b * c.block_size - c.begin;
      dots<vectors>(q + h * c.head_dim, keys, c.head_dim, from, to, h == 0 ? next : nullptr, own);
      if (block.key_scales == nullptr && c.cap == 0) continue;
      for (int64_t j = from; j < to; ++j) {
        const float score = block.key_scales != nullptr ? own[j] * block.key_scales[j] : own[j];
        own[j] = c.cap > 0 ? c.cap * std::tanh(score / c.cap) : score;
      }
    }
  }
  for (int64_t h = 0; h < c.heads; ++h) softmax(scores + h * room, seen);
  std::fill_n(c.out, all, 0.0f);
  for (int64_t b = first; b <= last; ++b) {
    const Block& block = c.blocks[b];
    const auto [from, to] = bounds(b);
    const auto* next = static_cast<const T*>(b < last ? c.blocks[b + 1].values : nullptr);
    for (int64_t h = 0; h < c.heads; ++h) {
      const float* const weights = scores + h * room + b * c.block_size - c.begin;
      add_values<vectors, T>({weights, block.value_scales, static_cast<const T*>(block.values), h == 0 ? next : nullptr,
                              from, to, c.head_dim},
                             c.out + h * c.head_dim);
    }
  }
  if (twos) interleave<T>(c.out, all);
}

template <class T> TESSERA_BODY void attend_in(const Query& query, std::vector<float>& scratch) {
  if (query.head_dim % (2 * lanes) == 0) attend_in<2, T>(query, scratch);
  else attend_in<1, T>(query, scratch);
}

TESSERA_EACH_CPU void attend_fp32(const Query& query, std::vector<float>& scratch) { attend_in<float>(query, scratch); }
TESSERA_EACH_CPU void attend_bf16(const Query& query, std::vector<float>& scratch) {
  attend_in<uint16_t>(query, scratch);
}
TESSERA_EACH_CPU void attend_int8(const Query& query, std::vector<float>& scratch) {
  attend_in<int8_t>(query, scratch);
}

}  // namespace

void attend(Format format, const Query& query, std::vector<float>& scratch) {
  if (format == Format::fp32) attend_fp32(query, scratch);
  else if (format == Format::bf16) attend_bf16(query, scratch);
  else attend_int8(query, scratch);
}

}  // namespace tessera::nn::blocks
