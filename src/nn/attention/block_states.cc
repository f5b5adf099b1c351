// Recurrent states beside the blocks: at the end of a block they are known by the ids that the block is known by, because a state is a
// function of all positions before it.
#include <map>
#include <set>

#include <ATen/ops/cat.h>

#include "nn/attention/block_cache.h"

namespace tessera::nn {

/// The last states among those kept at the ends of a row's blocks, up to `length` positions.
RecurrentRow::Kept BlockCache::last_kept(const RowState& row, int64_t length) {
  for (int64_t count = length / options_.block; count > 0; --count) {
    BlockState& block = blocks_[static_cast<size_t>(row.blocks[static_cast<size_t>(count - 1)])];
    if (!block.states) continue;
    block.used = ++clock_;
    return {count * options_.block, block.states};
  }
  return {};
}

void BlockCache::keep_states(Row row) {
  RowState& state = rows_.at(row);
  if (!options_.recurrent || state.length == 0) return;
  if (state.length % options_.block != 0) return state.states.keep(state.length);
  keep_at(state.blocks[static_cast<size_t>(state.length / options_.block - 1)], state.states.now());
}

/// Keeps states at the end of a block; others leave when there are too many.
void BlockCache::keep_at(int32_t block, const KeptStates& states) {
  BlockState& own = blocks_[static_cast<size_t>(block)];
  own.states = states;
  own.used = ++clock_;
  std::map<uint64_t, BlockState*> by_use;
  std::set<const void*> counted;
  int64_t bytes = 0;
  for (BlockState& each : blocks_) {
    if (!each.states) continue;
    by_use[each.used] = &each;
    bytes += each.states->bytes(counted);
  }
  for (auto oldest = by_use.begin(); bytes > options_.state_bytes && by_use.size() > 1; by_use.erase(oldest++)) {
    std::set<const void*> alone;
    bytes -= oldest->second->states->bytes(alone);
    oldest->second->states = nullptr;
  }
}

Tensor BlockCache::recur(size_t layer, const Tensor& inputs, const RecurrentStep& step) {
  std::vector<Tensor> out;
  int64_t from = 0;
  for (const Piece& piece : pieces_) {
    out.push_back(rows_.at(piece.row).states.advance(layer, inputs.narrow(0, from, piece.count), step));
    from += piece.count;
  }
  return out.size() == 1 ? out.front() : at::cat(out);
}

}  // namespace tessera::nn
