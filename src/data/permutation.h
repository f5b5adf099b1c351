// Orders by chance: a permutation that needs no table (position i of n is computed alone, so a pass can start anywhere), and a list's own
// shuffle.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/rng.h"

namespace tessera::data {

/// Where `index` (< n) goes under the permutation of [0, n) that `seed` names: four Feistel rounds over the next
/// even power of two, walked until the value is below n (Black and Rogaway 2002).
constexpr uint64_t permuted(uint64_t index, uint64_t n, uint64_t seed) {
  int half = 1;
  while ((uint64_t{1} << (2 * half)) < n) ++half;
  const uint64_t mask = (uint64_t{1} << half) - 1;
  do {
    uint64_t left = index >> half, right = index & mask;
    for (uint64_t round = 0; round < 4; ++round) {
      const uint64_t mixed = left ^ (mix64(mix64(seed + round * 0x9E3779B97F4A7C15ull) ^ right) & mask);
      left = right;
      right = mixed;
    }
    index = (left << half) | right;
  } while (index >= n);
  return index;
}

/// Every order is as likely as any other (Fisher and Yates).
template <class T> void shuffle(std::vector<T>& items, Rng& rng) {
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[rng.below(i)]);
}

}  // namespace tessera::data
