// See bpe_merges.h.
#include "text/bpe_merges.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

namespace tessera::text {

namespace {
uint64_t key_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

size_t scattered(uint64_t key) {
  key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9ull;
  key = (key ^ (key >> 27)) * 0x94D049BB133111EBull;
  return static_cast<size_t>(key ^ (key >> 31));
}

/// A merge that may be done at symbol `at`; stale once that symbol or its right neighbour has changed.
struct Candidate {
  int32_t rank, at, merged;
  bool operator<(const Candidate& other) const {  // std::priority_queue gives the greatest first
    return std::pair(rank, at) > std::pair(other.rank, other.at);
  }
};
}  // namespace

void BpeMerges::grow() {
  std::vector<Merge> old(std::max<size_t>(64, slots_.size() * 2));
  std::swap(old, slots_);
  used_ = 0;
  for (const Merge& merge : old) {
    if (merge.pair != empty)
      add(static_cast<int32_t>(merge.pair >> 32), static_cast<int32_t>(merge.pair & 0xFFFFFFFF), merge.rank,
          merge.merged);
  }
}

void BpeMerges::add(int32_t left, int32_t right, int32_t rank, int32_t merged) {
  if (used_ * 2 >= slots_.size()) grow();
  const uint64_t pair = key_of(left, right);
  size_t at = scattered(pair) & (slots_.size() - 1);
  while (slots_[at].pair != empty && slots_[at].pair != pair) at = (at + 1) & (slots_.size() - 1);
  used_ += slots_[at].pair == empty;
  slots_[at] = {pair, rank, merged};
}

const BpeMerges::Merge* BpeMerges::find(int32_t left, int32_t right) const {
  if (slots_.empty()) return nullptr;
  const uint64_t pair = key_of(left, right);
  for (size_t at = scattered(pair) & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].pair == pair) return &slots_[at];
    if (slots_[at].pair == empty) return nullptr;
  }
}

void BpeMerges::apply(std::vector<int32_t>& symbols, int32_t without) const {
  const auto count = static_cast<int32_t>(symbols.size());
  if (count < 2) return;
  constexpr int32_t gone = -1;
  std::vector<int32_t> left(symbols.size()), right(symbols.size());
  std::vector<Candidate> found;
  const auto consider = [&](int32_t at, auto&& take) {
    if (at < 0 || right[static_cast<size_t>(at)] >= count) return;
    const auto* merge =
        find(symbols[static_cast<size_t>(at)], symbols[static_cast<size_t>(right[static_cast<size_t>(at)])]);
    if (merge != nullptr && merge->merged != without) take(Candidate{merge->rank, at, merge->merged});
  };
  for (int32_t i = 0; i < count; ++i) {
    left[static_cast<size_t>(i)] = i - 1;
    right[static_cast<size_t>(i)] = i + 1;
    consider(i, [&](Candidate c) { found.push_back(c); });
  }
  std::priority_queue<Candidate> queue(std::less<Candidate>(), std::move(found));
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    const auto at = static_cast<size_t>(best.at);
    if (symbols[at] == gone || right[at] >= count) continue;
    const auto next = static_cast<size_t>(right[at]);
    const auto* merge = find(symbols[at], symbols[next]);
    if (merge == nullptr || merge->merged != best.merged) continue;
    symbols[at] = best.merged;
    symbols[next] = gone;
    right[at] = right[next];
    if (right[at] < count) left[static_cast<size_t>(right[at])] = best.at;
    consider(left[at], [&](Candidate c) { queue.push(c); });
    consider(best.at, [&](Candidate c) { queue.push(c); });
  }
  symbols.erase(std::remove(symbols.begin(), symbols.end(), gone), symbols.end());
}

}  // namespace tessera::text
