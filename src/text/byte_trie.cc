// See byte_trie.h.
#include "text/byte_trie.h"

#include <algorithm>
#include <utility>

namespace tessera::text {

void ByteTrie::connect(uint64_t from, uint32_t to) {
  if (used_ * 2 >= edges_.size()) {
    std::vector<Edge> old(std::max<size_t>(64, edges_.size() * 2));
    std::swap(old, edges_);
    used_ = 0;
    for (const Edge& edge : old) {
      if (edge.from != empty) connect(edge.from, edge.to);
    }
  }
  size_t at = scattered(from) & (edges_.size() - 1);
  while (edges_[at].from != empty) at = (at + 1) & (edges_.size() - 1);
  edges_[at] = {from, to};
  ++used_;
}

void ByteTrie::add(std::string_view key, int32_t value) {
  uint32_t node = root;
  for (const char c : key) {
    uint32_t next = step(node, c);
    if (next == nowhere) {
      next = static_cast<uint32_t>(values_.size());
      values_.push_back(-1);
      const auto byte = static_cast<unsigned char>(c);
      if (node == root) first_[byte] = next;
      else connect(static_cast<uint64_t>(node) << 8 | byte, next);
    }
    node = next;
  }
  values_[node] = value;
}

int32_t ByteTrie::find(std::string_view key) const {
  uint32_t node = root;
  for (size_t at = 0; at < key.size() && node != nowhere; ++at) node = step(node, key[at]);
  return node == nowhere ? -1 : values_[node];
}

ByteTrie::Match ByteTrie::longest(std::string_view text, size_t at) const {
  Match longest;
  uint32_t node = root;
  for (size_t i = at; i < text.size(); ++i) {
    node = step(node, text[i]);
    if (node == nowhere) break;
    if (values_[node] >= 0) longest = {i + 1 - at, values_[node]};
  }
  return longest;
}

}  // namespace tessera::text
