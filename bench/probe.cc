// Loops that do one thing. Results are used, so that no compiler may leave the work out.
#include "bench/probe.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define TESSERA_EACH_CPU \
  __attribute__((target_clones("avx512f", "arch=haswell", "default"), optimize("O3", "fast-math")))
#else
#define TESSERA_EACH_CPU
#endif

namespace tessera::bench {

namespace {

std::atomic<uint64_t> used;  // what is written here counts as needed

/// Seconds of the fastest of several rounds in which every thread calls work(thread).
double fastest(int threads, int repeats, const std::function<void(int)>& work) {
  double best = 1e30;
  for (int round = 0; round < repeats; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<std::thread> others;
    for (int t = 1; t < threads; ++t) others.emplace_back(work, t);
    work(0);
    for (auto& other : others) other.join();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

TESSERA_EACH_CPU uint64_t mixed(const uint64_t* words, int64_t count) {
  uint64_t all = 0;
  for (int64_t i = 0; i < count; ++i) all ^= words[i];
  return all;
}

constexpr int chains = 12;  // independent sums: enough to hide the latency of a multiply-add on two units

typedef float Four __attribute__((vector_size(16)));
typedef float Eight __attribute__((vector_size(32)));
typedef float Sixteen __attribute__((vector_size(64)));

/// `steps` rounds of chains * lanes multiply-adds. Sums wider than the processor's registers would not fit in them:
/// the caller tries several widths.
template <class Lanes> TESSERA_EACH_CPU float multiply_adds(int64_t steps, float factor) {
  constexpr int lanes = sizeof(Lanes) / sizeof(float);
  Lanes sum[chains], by = {}, plus = {};
  for (int i = 0; i < lanes; ++i) {
    by[i] = factor;
    plus[i] = 1 - factor;
  }
  for (auto& s : sum) s = plus;
  for (int64_t step = 0; step < steps; ++step) {
    for (auto& s : sum) s = s * by + plus;
  }
  float all = 0;
  for (auto& s : sum) {
    for (int i = 0; i < lanes; ++i) all += s[i];
  }
  return all;
}

}  // namespace

double read_bandwidth(int threads, int64_t bytes, int repeats) {
  const int64_t part = bytes / threads / 8;
  std::vector<std::unique_ptr<uint64_t[]>> parts;
  for (int t = 0; t < threads; ++t) {
    parts.emplace_back(new uint64_t[static_cast<size_t>(part)]);
    for (int64_t i = 0; i < part; ++i)
      parts.back()[static_cast<size_t>(i)] = static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15ull;
  }
  const double seconds =
      fastest(threads, repeats, [&](int t) { used ^= mixed(parts[static_cast<size_t>(t)].get(), part); });
  return static_cast<double>(part * threads * 8) / seconds;
}

double multiply_add_peak(int threads, int repeats) {
  constexpr int64_t steps = 20'000'000;
  const auto rate = [&](int lanes, float (*work)(int64_t, float)) {
    const double seconds = fastest(threads, repeats, [&](int t) {
      used += static_cast<uint64_t>(work(steps, 0.5f + 0.001f * static_cast<float>(t)));
    });
    return 2.0 * chains * lanes * steps * threads / seconds;
  };
  return std::max({rate(16, multiply_adds<Sixteen>), rate(8, multiply_adds<Eight>), rate(4, multiply_adds<Four>)});
}

}  // namespace tessera::bench
