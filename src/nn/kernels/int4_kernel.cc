// Rounding, the portable path and the choice of path. Every path forms the same whole-number dot products; only the
// order in which groups are added differs.
#include "nn/kernels/int4_kernel.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define TESSERA_EACH_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define TESSERA_EACH_CPU
#endif

namespace tessera::nn::int4 {

namespace {

constexpr float largest = 32512;  // 127 * 256: its high byte fits 8 signed bits after the low byte's carry

int64_t chunk_of(Path path, int64_t group) {
  return path == Path::avx512 ? avx512_chunk : path == Path::avx2 ? avx2_chunk : group;
}

/// To the nearest whole number, ties to even, for |x| < 2^22: adding 1.5 * 2^23 leaves it in the low bits.
int32_t nearest(float x) { return std::bit_cast<int32_t>(x + 12582912.0f) - std::bit_cast<int32_t>(12582912.0f); }

/// The largest magnitude, as bits: those of magnitudes are ordered as the magnitudes are, infinity and NaN last.
TESSERA_EACH_CPU int32_t peak_bits(const float* x, int64_t count) {
  int32_t peak = 0;
  for (int64_t i = 0; i < count; ++i) peak = std::max(peak, std::bit_cast<int32_t>(x[i]) & 0x7FFFFFFF);
  return peak;
}

/// One group: whole numbers by chunk into `to`; returns their sum.
TESSERA_EACH_CPU int32_t round_group(const float* __restrict x, int64_t group, float inverse, int64_t chunk,
                                     int8_t* __restrict to) {
  int32_t sum = 0;
  const int64_t half = chunk / 2;
  for (int64_t start = 0; start < group; start += chunk, to += 2 * chunk) {
    for (int64_t j = 0; j < half; ++j) {
      const int32_t even = nearest(x[start + 2 * j] * inverse), odd = nearest(x[start + 2 * j + 1] * inverse);
      const int32_t even_high = (even + 128) >> 8, odd_high = (odd + 128) >> 8;
      sum += even + odd;
      to[j] = static_cast<int8_t>(even_high);
      to[half + j] = static_cast<int8_t>(odd_high);
      to[chunk + j] = static_cast<int8_t>(even - 256 * even_high);
      to[chunk + half + j] = static_cast<int8_t>(odd - 256 * odd_high);
    }
  }
  return sum;
}

void multiply_portable(const Weights& w, const Activations& x, int64_t row, int64_t begin, int64_t end, float* y) {
  const int64_t groups = w.groups(), half = w.group / 2;
  const float *x_scales = x.scales.data() + row * groups, *x_sums = x.sums.data() + row * groups;
  for (int64_t o = begin; o < end; ++o) {
    float total = 0;
    for (int64_t g = 0; g < groups; ++g) {
      const uint8_t* q = w.packed + (o * groups + g) * half;
      const int8_t* v = x.row(row) + g * 2 * w.group;
      int32_t dot = 0;
      for (int64_t j = 0; j < half; ++j) {
        const int32_t even = 256 * v[j] + v[2 * half + j], odd = 256 * v[half + j] + v[3 * half + j];
        dot += (q[j] & 15) * even + (q[j] >> 4) * odd;
      }
      const auto zero = static_cast<float>(w.zeros[o * groups + g]);
      total += w.scales[o * groups + g] * x_scales[g] * (static_cast<float>(dot) - zero * x_sums[g]);
    }
    y[row * w.out + o] = total;
  }
}

uint16_t bfloat16_bits(float value) {
  if (std::isnan(value)) return 0x7FC0;
  const auto bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

}  // namespace

bool runs(Path path, int64_t group) {
  if (path == Path::portable) return true;
  return processor_has(path) &&
         (path == Path::avx512 ? group == avx512_chunk : group == 2 * avx2_chunk || group == avx2_chunk);
}

Path best_path(int64_t group) {
  for (const Path path : {Path::avx512, Path::avx2}) {
    if (runs(path, group)) return path;
  }
  return Path::portable;
}

Activations rounded(const float* x, int64_t rows, int64_t in, int64_t group, Path path) {
  const int64_t groups = in / group, chunk = chunk_of(path, group);
  Activations all{.path = path, .rows = rows, .in = in, .group = group, .lines = {}, .scales = {}, .sums = {}};
  all.lines.resize(static_cast<size_t>((rows * all.row_bytes() + 63) / 64));
  all.scales.resize(static_cast<size_t>(rows * groups));
  all.sums.resize(all.scales.size());
  int8_t* to = all.lines.data()->bytes;
  for (int64_t i = 0; i < rows * groups; ++i) {
    const float* from = x + i * group;
    const float peak = std::bit_cast<float>(peak_bits(from, group));
    const auto at = static_cast<size_t>(i);
    if (std::isfinite(peak)) {
      const float inverse = peak > 0 ? std::min(largest / peak, std::numeric_limits<float>::max()) : 0;
      all.scales[at] = peak / largest;
      all.sums[at] = static_cast<float>(round_group(from, group, inverse, chunk, to + i * 2 * group));
    } else {
      all.scales[at] = std::numeric_limits<float>::quiet_NaN();
    }
  }
  return all;
}

void multiply(const Weights& weights, const Activations& x, int64_t begin, int64_t end, float* y) {
  if (x.path == Path::portable) {
    for (int64_t row = 0; row < x.rows; ++row) multiply_portable(weights, x, row, begin, end, y);
    return;
  }
  const bool wide = x.path == Path::avx512;
  const auto several = wide ? multiply_avx512 : multiply_avx2;
  const int64_t at_once = wide ? most_rows_avx512 : most_rows_avx2;
  for (int64_t first = 0; first < x.rows; first += at_once)
    several(weights, x, first, std::min(at_once, x.rows - first), begin, end, y);
}

void unpack_bfloat16(const Weights& weights, int64_t begin, int64_t end, uint16_t* to) {
  const int64_t groups = weights.groups(), half = weights.group / 2;
  const bool by_register = runs(Path::avx512, weights.group);
  for (int64_t i = begin * groups; i < end * groups; ++i, to += weights.group) {
    uint16_t table[16];
    const float scale = weights.scales[i];
    for (int q = 0; q < 16; ++q) table[q] = bfloat16_bits(static_cast<float>(q - weights.zeros[i]) * scale);
    const uint8_t* packed = weights.packed + i * half;
    if (by_register) {
      look_up_avx512(packed, table, to);
    } else {
      for (int64_t j = 0; j < half; ++j) {
        to[2 * j] = table[packed[j] & 15];
        to[2 * j + 1] = table[packed[j] >> 4];
      }
    }
  }
}

}  // namespace tessera::nn::int4

#undef TESSERA_EACH_CPU
