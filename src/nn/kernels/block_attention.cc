// Scores over all blocks, a softmax, then the values over all blocks. Vectors of sixteen numbers are the compiler's own, so
// that one body serves every processor; what a head's last numbers are short of sixteen goes one by one.
#include "nn/kernels/block_attention.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define TESSERA_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TESSERA_EACH_CPU
#endif
#define TESSERA_BODY __attribute__((always_inline)) inline

namespace tessera::nn::blocks {

namespace {

#include "nn/kernels/vectors-inl.h"

template <class T> TESSERA_BODY float dot(const float* q, const T* k, int64_t count) {
  Floats sums = {};
  const int64_t whole = count / lanes * lanes;
  for (int64_t i = 0; i < whole; i += lanes) {
    Floats a, b;
    load(q + i, a), load(k + i, b);
    sums += a * b;
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

/// to[j] = dot(q, k + j * count, count) for positions from `from` to before `to_position`.
template <class T>
TESSERA_BODY void dots(const float* q, const T* k, int64_t count, int64_t from, int64_t to_position, float* to) {
  int64_t j = from;
  if (count % lanes == 0) {
    for (; j + sums_at_once <= to_position; j += sums_at_once) {
      Floats sums[sums_at_once] = {};
      for (int64_t i = 0; i < count; i += lanes) {
        Floats a;
        load(q + i, a);
#pragma GCC unroll 8
        for (int p = 0; p < sums_at_once; ++p) {
          Floats b;
          load(k + (j + p) * count + i, b);
          sums[p] += a * b;
        }
      }
      across_each(sums, to + j);
    }
  }
  for (; j < to_position; ++j) to[j] = dot(q, k + j * count, count);
}

/// out += weights times values, for `width` vectors of numbers of each value.
template <int width, class T>
TESSERA_BODY void add_vectors(const float* weights, const float* scales, const T* values, int64_t from, int64_t to,
                              int64_t head_dim, float* out) {
  Floats sums[width];
#pragma GCC unroll 4
  for (int w = 0; w < width; ++w) load(out + w * lanes, sums[w]);
  for (int64_t j = from; j < to; ++j) {
    const float weight = scales != nullptr ? weights[j] * scales[j] : weights[j];
#pragma GCC unroll 4
    for (int w = 0; w < width; ++w) {
      Floats v;
      load(values + j * head_dim + w * lanes, v);
      sums[w] += weight * v;
    }
  }
#pragma GCC unroll 4
  for (int w = 0; w < width; ++w) store(sums[w], out + w * lanes);
}

/// out += weights [to] times values [to, head_dim], positions from `from` on; sums stay in registers.
template <class T>
TESSERA_BODY void add_values(const float* weights, const float* scales, const T* values, int64_t from, int64_t to,
                             int64_t head_dim, float* out) {
  constexpr int64_t four = 4 * lanes;
  int64_t i = 0;
  for (; i + four <= head_dim; i += four) add_vectors<4>(weights, scales, values + i, from, to, head_dim, out + i);
  for (; i + lanes <= head_dim; i += lanes) add_vectors<1>(weights, scales, values + i, from, to, head_dim, out + i);
  for (; i < head_dim; ++i) {
    for (int64_t j = from; j < to; ++j) {
      const float weight = scales != nullptr ? weights[j] * scales[j] : weights[j];
      out[i] += weight * one(values[j * head_dim + i]);
    }
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

template <class T> TESSERA_BODY void attend_in(const Query& c, std::vector<float>& scratch) {
  const int64_t seen = c.end - c.begin, room = (seen + lanes - 1) / lanes * lanes;
  scratch.resize(static_cast<size_t>(c.heads * room));
  const int64_t first = c.begin / c.block_size, last = (c.end - 1) / c.block_size;
  for (int64_t b = first; b <= last; ++b) {
    const Block& block = c.blocks[b];
    const auto* keys = static_cast<const T*>(block.keys);
    const int64_t from = std::max<int64_t>(c.begin - b * c.block_size, 0);
    const int64_t to = std::min<int64_t>(c.end - b * c.block_size, c.block_size);
    for (int64_t h = 0; h < c.heads; ++h) {
      float* scores = scratch.data() + h * room + b * c.block_size - c.begin;
      dots(c.q + h * c.head_dim, keys, c.head_dim, from, to, scores);
      if (block.key_scales == nullptr && c.cap == 0) continue;
      for (int64_t j = from; j < to; ++j) {
        const float score = block.key_scales != nullptr ? scores[j] * block.key_scales[j] : scores[j];
        scores[j] = c.cap > 0 ? c.cap * std::tanh(score / c.cap) : score;
      }
    }
  }
  for (int64_t h = 0; h < c.heads; ++h) softmax(scratch.data() + h * room, seen);
  for (int64_t i = 0; i < c.heads * c.head_dim; ++i) c.out[i] = 0;
  for (int64_t b = first; b <= last; ++b) {
    const Block& block = c.blocks[b];
    const auto* values = static_cast<const T*>(block.values);
    const int64_t from = std::max<int64_t>(c.begin - b * c.block_size, 0);
    const int64_t to = std::min<int64_t>(c.end - b * c.block_size, c.block_size);
    for (int64_t h = 0; h < c.heads; ++h) {
      const float* weights = scratch.data() + h * room + b * c.block_size - c.begin;
      add_values(weights, block.value_scales, values, from, to, c.head_dim, c.out + h * c.head_dim);
    }
  }
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
