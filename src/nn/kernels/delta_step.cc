// Two passes over the state: what it holds under the key, then the new state and what the query reads of it. Compiled with -O3
// (CMakeLists.txt), so that the loops along values become wide steps; no sum crosses them.
#include "nn/kernels/delta_step.h"

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define TESSERA_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TESSERA_EACH_CPU
#endif

namespace tessera::nn {

namespace {

/// to += factor * row.
inline __attribute__((always_inline)) void add_scaled(const float* __restrict row, float factor, int64_t count,
                                                      float* __restrict to) {
  for (int64_t j = 0; j < count; ++j) to[j] += factor * row[j];
}

/// A row of the new state, and its share of what is read.
inline __attribute__((always_inline)) void write_row(const float* before, float decay, float key, float query,
                                                     const float* __restrict change, int64_t count, float* after,
                                                     float* __restrict out) {
#pragma GCC ivdep
  for (int64_t j = 0; j < count; ++j) {
    const float now = decay * before[j] + key * change[j];
    after[j] = now;
    out[j] += query * now;
  }
}

}  // namespace

TESSERA_EACH_CPU void delta_step(const DeltaHead& h, float* room) {
  const int64_t n = h.values;
  for (int64_t j = 0; j < n; ++j) room[j] = h.out[j] = 0;
  for (int64_t i = 0; h.from != nullptr && i < h.keys; ++i) add_scaled(h.from + i * n, h.k[i], n, room);
  for (int64_t j = 0; j < n; ++j) room[j] = h.beta * (h.v[j] - h.decay * room[j]);  // what is written under the key
  for (int64_t i = 0; i < h.keys; ++i) {
    float* const row = h.to + i * n;
    if (h.from == nullptr) {
      for (int64_t j = 0; j < n; ++j) row[j] = 0;
      write_row(row, 0, h.k[i], h.q[i], room, n, row, h.out);
    } else {
      write_row(h.from + i * n, h.decay, h.k[i], h.q[i], room, n, row, h.out);
    }
  }
}

}  // namespace tessera::nn
