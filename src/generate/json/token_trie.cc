// Sorted texts are the tree's walk already: each shares its beginning with the one before.
#include "generate/json/token_trie.h"

#include <algorithm>
#include <numeric>

namespace tessera::generate {

TokenTrie::TokenTrie(const text::Tokenizer& tokenizer) {
  const auto size = static_cast<size_t>(tokenizer.vocabulary());
  texts_.resize(size);
  same_.assign(size, -1);
  std::vector<int32_t> order;
  for (size_t i = 0; i < size; ++i) {
    const auto id = static_cast<int32_t>(i);
    if (tokenizer.is_special(id)) continue;
    texts_[i] = tokenizer.text_of(id, /*first=*/false);
    if (texts_[i].empty() || texts_[i].size() > 1000) {
      texts_[i].clear();
      continue;
    }
    drops_first_space_ =
        drops_first_space_ || (texts_[i][0] == ' ' && tokenizer.text_of(id, /*first=*/true) != texts_[i]);
    longest_ = std::max(longest_, std::ssize(texts_[i]));
    order.push_back(id);
  }
  std::ranges::stable_sort(order, {}, [&](int32_t id) -> const std::string& { return text(id); });
  std::vector<size_t> path;  // nodes above the next one
  int32_t before = -1;
  for (const int32_t id : order) {
    const std::string& bytes = text(id);
    if (before >= 0 && text(before) == bytes) {
      int32_t last = before;
      while (same(last) >= 0) last = same(last);
      same_[static_cast<size_t>(last)] = id;
      continue;
    }
    size_t shared = 0;
    while (before >= 0 && shared < bytes.size() && shared < path.size() && text(before)[shared] == bytes[shared])
      ++shared;
    for (; path.size() > shared; path.pop_back()) nodes_[path.back()].end = static_cast<uint32_t>(nodes_.size());
    for (size_t i = shared; i < bytes.size(); ++i) {
      path.push_back(nodes_.size());
      nodes_.push_back({.depth = static_cast<uint16_t>(i + 1), .byte = static_cast<uint8_t>(bytes[i])});
    }
    nodes_[path.back()].token = id;
    before = id;
  }
  for (; !path.empty(); path.pop_back()) nodes_[path.back()].end = static_cast<uint32_t>(nodes_.size());
}

}  // namespace tessera::generate
