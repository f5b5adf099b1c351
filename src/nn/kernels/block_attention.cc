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

constexpr int64_t lanes = 16;
typedef float Floats __attribute__((vector_size(64), aligned(4)));
typedef int32_t Ints __attribute__((vector_size(64), aligned(4)));
typedef uint32_t Words __attribute__((vector_size(64), aligned(4)));
typedef uint16_t Shorts __attribute__((vector_size(32), aligned(2)));
typedef int8_t Bytes __attribute__((vector_size(16), aligned(1)));

TESSERA_BODY void load(const float* from, Floats& to) { std::memcpy(&to, from, sizeof to); }
TESSERA_BODY void load(const uint16_t* from, Floats& to) {
  Shorts bits;
  std::memcpy(&bits, from, sizeof bits);
  const Words wide = __builtin_convertvector(bits, Words) << 16;
  std::memcpy(&to, &wide, sizeof to);
}
TESSERA_BODY void load(const int8_t* from, Floats& to) {
  Bytes bytes;
  std::memcpy(&bytes, from, sizeof bytes);
  to = __builtin_convertvector(bytes, Floats);
}
TESSERA_BODY void store(const Floats& from, float* to) { std::memcpy(to, &from, sizeof from); }

TESSERA_BODY float one(float x) { return x; }
TESSERA_BODY float one(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }
TESSERA_BODY float one(int8_t x) { return x; }

template <class T> TESSERA_BODY float dot(const float* q, const T* k, int64_t count) {
  Floats sums = {};
  const int64_t whole = count / lanes * lanes;
  for (int64_t i = 0; i < whole; i += lanes) {
    Floats a, b;
    load(q + i, a), load(k + i, b);
    sums += a * b;
  }
  float parts[lanes];
  store(sums, parts);
  float sum = 0;
  for (const float part : parts) sum += part;
  for (int64_t i = whole; i < count; ++i) sum += q[i] * one(k[i]);
  return sum;
}

/// out += weight * v.
template <class T> TESSERA_BODY void add(float weight, const T* v, int64_t count, float* out) {
  const int64_t whole = count / lanes * lanes;
  for (int64_t i = 0; i < whole; i += lanes) {
    Floats a, b;
    load(out + i, a), load(v + i, b);
    a += weight * b;
    store(a, out + i);
  }
  for (int64_t i = whole; i < count; ++i) out[i] += weight * one(v[i]);
}

/// exp(x) for x <= 0 in place, to about 2e-7 of itself: powers of two and a polynomial.
TESSERA_BODY void exp_in_place(float* x) {
  Floats v;
  load(x, v);
  const Floats low = Floats{} - 87.0f;
  v = v < low ? low : v;
  const Ints whole = __builtin_convertvector(v * 1.44269504f - 0.5f, Ints);  // nearest; truncation is towards 0
  const Floats n = __builtin_convertvector(whole, Floats);
  const Floats rest = (v - n * 0.693359375f) + n * 2.12194440e-4f;  // ln 2 in two parts
  Floats p = Floats{} + 1.0f / 5040;
  p = p * rest + 1.0f / 720;
  p = p * rest + 1.0f / 120;
  p = p * rest + 1.0f / 24;
  p = p * rest + 1.0f / 6;
  p = p * rest + 0.5f;
  p = p * rest + 1.0f;
  p = p * rest + 1.0f;
  const Ints exponent = (whole + 127) << 23;
  Floats power;
  std::memcpy(&power, &exponent, sizeof power);
  v = p * power;
  store(v, x);
}

/// Scores become weights that sum to 1; `scores` has room for whole vectors.
TESSERA_BODY void softmax(float* scores, int64_t count) {
  float most = scores[0];
  for (int64_t j = 1; j < count; ++j) most = scores[j] > most ? scores[j] : most;
  for (int64_t j = 0; j < count; ++j) scores[j] -= most;
  const int64_t padded = (count + lanes - 1) / lanes * lanes;
  for (int64_t j = count; j < padded; ++j) scores[j] = -100;
  float sum = 0;
  for (int64_t j = 0; j < padded; j += lanes) exp_in_place(scores + j);
  for (int64_t j = 0; j < count; ++j) sum += scores[j];
  const float inverse = 1 / sum;
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
      for (int64_t j = from; j < to; ++j) {
        float score = dot(c.q + h * c.head_dim, keys + j * c.head_dim, c.head_dim);
        if (block.key_scales != nullptr) score *= block.key_scales[j];
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
      for (int64_t j = from; j < to; ++j) {
        const float weight = block.value_scales != nullptr ? weights[j] * block.value_scales[j] : weights[j];
        add(weight, values + j * c.head_dim, c.head_dim, c.out + h * c.head_dim);
      }
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
