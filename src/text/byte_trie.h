// Texts found byte by byte: tokens of a vocabulary, words that are looked for in a text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tessera::text {

class ByteTrie {
 public:
  static constexpr uint32_t root = 0, nowhere = ~uint32_t{0};

  /// A key that is added twice keeps its last value. `value` is 0 or more; keys are not empty.
  void add(std::string_view key, int32_t value);
  /// The node that follows `node` by `byte`; nowhere if no key goes on so.
  uint32_t step(uint32_t node, char byte) const {
    if (node == root) return first_[static_cast<unsigned char>(byte)];
    return child(node, static_cast<unsigned char>(byte));
  }
  /// The value of the key that ends at `node`, -1 if none does.
  int32_t value(uint32_t node) const { return values_[node]; }
  /// The value of exactly `key`, -1 without one.
  int32_t find(std::string_view key) const;

  struct Match {
    size_t length = 0;  // 0: no key is there
    int32_t value = -1;
  };
  /// The longest key that `text` has at `at`.
  Match longest(std::string_view text, size_t at) const;

 private:
  struct Edge {
    uint64_t from = empty;  // node << 8 | byte
    uint32_t to = nowhere;
  };
  static constexpr uint64_t empty = ~uint64_t{0};
  static size_t scattered(uint64_t key) { return static_cast<size_t>(key * 0x9E3779B97F4A7C15ull >> 20); }
  uint32_t child(uint32_t node, unsigned char byte) const {
    if (edges_.empty()) return nowhere;
    const uint64_t from = static_cast<uint64_t>(node) << 8 | byte;
    for (size_t at = scattered(from) & (edges_.size() - 1);; at = (at + 1) & (edges_.size() - 1)) {
      if (edges_[at].from == from) return edges_[at].to;
      if (edges_[at].from == empty) return nowhere;
    }
  }
  void connect(uint64_t from, uint32_t to);

  std::vector<uint32_t> first_ = std::vector<uint32_t>(256, nowhere);  // edges of the root
  std::vector<Edge> edges_;  // of all other nodes: open addressing; a power of two, at most half full
  size_t used_ = 0;
  std::vector<int32_t> values_ = {-1};  // by node
};

}  // namespace tessera::text
