// The merges of a BPE model and what they make of a word. The lowest rank goes first, the leftmost of equals before
// the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tessera::text {

class BpeMerges {
 public:
  /// A pair that is added twice takes its last rank.
  void add(int32_t left, int32_t right, int32_t rank, int32_t merged);
  /// Merges `symbols` until no pair is left that merges, but never into `without`. n log n in their number.
  void apply(std::vector<int32_t>& symbols, int32_t without = -1) const;
  size_t size() const { return used_; }

 private:
  struct Merge {
    uint64_t pair = empty;
    int32_t rank = 0, merged = 0;
  };
  static constexpr uint64_t empty = ~uint64_t{0};
  const Merge* find(int32_t left, int32_t right) const;
  void grow();

  std::vector<Merge> slots_;  // open addressing; a power of two, at most half full
  size_t used_ = 0;
};

}  // namespace tessera::text
