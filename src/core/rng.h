// Counter-based random numbers: a draw is a pure function of (seed, stream, position), so data, drawing and resume
// need no saved state and give the same bytes on every machine.
#pragma once

#include <cstdint>
#include <string_view>

namespace tessera {

/// splitmix64's finaliser: a bijection of 64-bit words that mixes every bit (Steele et al. 2014).
constexpr uint64_t mix64(uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

/// FNV-1a of a text, for seeds that depend on names.
constexpr uint64_t hash_text(std::string_view text) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return hash;
}

/// A stream of random numbers. Copies continue independently from the same position.
class Rng {
 public:
  explicit constexpr Rng(uint64_t seed, uint64_t stream = 0)
      : key_(mix64(mix64(seed) ^ (stream * 0xD1B54A32D192ED03ull))) {}

  /// An independent stream derived from this one's seed alone, not from what was drawn so far.
  constexpr Rng split(uint64_t stream) const { return Rng(key_, stream + 1); }

  constexpr uint64_t next() { return mix64(key_ ^ mix64(counter_++)); }
  /// Uniform in [0, 1), 53 bits.
  constexpr double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  constexpr double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform in [0, n); n >= 1. Lemire's multiply-shift: the bias is below n / 2^64.
  constexpr uint64_t below(uint64_t n) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64);
  }
  constexpr bool chance(double probability) { return uniform() < probability; }

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
};

}  // namespace tessera
