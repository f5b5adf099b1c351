// Rows and blocks; and a layer's attention, piece by piece.
#include "nn/attention/block_cache.h"

#include <algorithm>
#include <limits>
#include <set>

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "core/rng.h"
#include "nn/attention/grouped_attention.h"

namespace tessera::nn {

namespace {
uint64_t chained(uint64_t parent, std::span<const int32_t> ids) {
  uint64_t hash = mix64(parent + 0x9E3779B97F4A7C15ull);
  for (const int32_t id : ids) hash = mix64(hash ^ static_cast<uint32_t>(id));
  return hash == 0 ? 1 : hash;
}
}  // namespace

BlockCache::BlockCache(const BlockCacheOptions& options) : options_(options) {
  if (options.depth < 0) throw UserError("[cache] depth is {}, want at least 0", options.depth);
  if (options.block < 1) throw UserError("[cache] block is {}, want at least 1", options.block);
  layers_.assign(static_cast<size_t>(options.depth), BlockStorage(options.block, options.stored));
}

BlockCache::Row BlockCache::add() {
  rows_[next_row_] = {};
  return next_row_++;
}

BlockCache::Row BlockCache::fork(Row from, int64_t length) {
  const Row row = add();
  const RowState& source = rows_.at(from);
  TORCH_INTERNAL_ASSERT(length <= source.length, "a fork of more positions than the row has");
  RowState& own = rows_[row];
  own.length = source.length;
  own.states = source.states;
  const auto count = static_cast<size_t>((source.length + options_.block - 1) / options_.block);
  own.blocks.assign(source.blocks.begin(), source.blocks.begin() + static_cast<int64_t>(count));
  for (const int32_t block : own.blocks) ++blocks_[static_cast<size_t>(block)].rows;
  rewind(row, length);
  return row;
}

void BlockCache::release(Row row) {
  const auto found = rows_.find(row);
  if (found == rows_.end()) return;
  for (const int32_t block : found->second.blocks) let_go(block);
  rows_.erase(found);
}

int64_t BlockCache::rewind(Row row, int64_t length) {
  RowState& state = rows_.at(row);
  const int64_t wanted = std::clamp<int64_t>(length, 0, state.length);
  state.length = options_.recurrent ? state.states.rewind(state.length, wanted, last_kept(state, wanted)) : wanted;
  const auto count = static_cast<size_t>((state.length + options_.block - 1) / options_.block);
  while (state.blocks.size() > count) let_go(state.blocks.back()), state.blocks.pop_back();
  return state.length;
}

int32_t BlockCache::allocate() {
  const bool full = options_.capacity > 0 && std::ssize(blocks_) >= options_.capacity;
  if (free_.empty() && !idle_.empty() && (full || std::ssize(idle_) > options_.known)) forget(idle_.begin()->second);
  if (free_.empty()) {
    if (full) throw FaultError("[cache] all {} blocks are in use", options_.capacity);
    blocks_.emplace_back();
    free_.push_back(static_cast<int32_t>(blocks_.size()) - 1);
  }
  const int32_t block = free_.back();
  free_.pop_back();
  blocks_[static_cast<size_t>(block)].rows = 1;
  return block;
}

void BlockCache::let_go(int32_t block) {
  BlockState& state = blocks_[static_cast<size_t>(block)];
  if (--state.rows > 0) return;
  if (state.hash == 0) {
    state.states = nullptr;
    free_.push_back(block);
    return;
  }
  state.left = ++clock_;
  idle_[state.left] = block;
  if (std::ssize(idle_) > options_.known) forget(idle_.begin()->second);
}

/// A known block without a row becomes a free one.
void BlockCache::forget(int32_t block) {
  BlockState& state = blocks_[static_cast<size_t>(block)];
  idle_.erase(state.left), known_.erase(state.hash);
  state = {};
  free_.push_back(block);
}

/// Room for `length` positions, in blocks of the row's own from where it is written.
void BlockCache::reserve(RowState& row, int64_t length) {
  if (row.length % options_.block != 0 && length > row.length) {
    // not the last one that there is: a pass that failed leaves blocks behind
    int32_t& last = row.blocks[static_cast<size_t>(row.length / options_.block)];
    const BlockState& state = blocks_[static_cast<size_t>(last)];
    if (state.rows > 1 || state.hash != 0) {  // others read it
      const int32_t own = allocate();
      for (BlockStorage& layer : layers_) layer.copy(last, own, row.length % options_.block);
      let_go(last), last = own;
    }
    blocks_[static_cast<size_t>(last)].states = nullptr;  // it will end otherwise
  }
  while (std::ssize(row.blocks) * options_.block < length) row.blocks.push_back(allocate());
}

int32_t BlockCache::find(uint64_t hash, uint64_t parent, std::span<const int32_t> ids) const {
  const auto found = known_.find(hash);
  if (found == known_.end()) return -1;
  const BlockState& state = blocks_[static_cast<size_t>(found->second)];
  return state.parent == parent && std::ranges::equal(state.ids, ids) ? found->second : -1;
}

void BlockCache::remember(Row row, std::span<const int32_t> ids, uint64_t salt) {
  const RowState& state = rows_.at(row);
  uint64_t parent = mix64(salt);
  const int64_t whole = std::min<int64_t>(state.length, std::ssize(ids)) / options_.block;
  for (int64_t b = 0; b < whole; ++b) {
    const auto own = ids.subspan(static_cast<size_t>(b * options_.block), static_cast<size_t>(options_.block));
    const uint64_t hash = chained(parent, own);
    const int32_t block = state.blocks[static_cast<size_t>(b)];
    BlockState& held = blocks_[static_cast<size_t>(block)];
    if (held.hash == 0 && !known_.contains(hash)) {
      held.hash = hash, held.parent = parent, held.ids.assign(own.begin(), own.end());
      known_[hash] = block;
    } else if (const int32_t same = held.states ? find(hash, parent, own) : -1; same >= 0 && same != block) {
      if (!blocks_[static_cast<size_t>(same)].states) keep_at(same, held.states);
    }
    parent = hash;
  }
}

/// Known blocks that `ids` begin with, as recall() takes them.
std::vector<int32_t> BlockCache::find_all(std::span<const int32_t> ids, int64_t multiple, uint64_t salt) const {
  TORCH_INTERNAL_ASSERT(multiple % options_.block == 0, "whole blocks");
  std::vector<int32_t> found;
  uint64_t parent = mix64(salt);
  while ((std::ssize(found) + 1) * options_.block < std::ssize(ids)) {
    const auto own =
        ids.subspan(found.size() * static_cast<size_t>(options_.block), static_cast<size_t>(options_.block));
    const uint64_t hash = chained(parent, own);
    const int32_t block = find(hash, parent, own);
    if (block < 0) break;
    found.push_back(block), parent = hash;
  }
  const auto whole = static_cast<size_t>(multiple / options_.block);
  found.resize(found.size() / whole * whole);
  while (options_.recurrent && !found.empty() && !blocks_[static_cast<size_t>(found.back())].states)
    found.resize(found.size() - whole);
  return found;
}

int64_t BlockCache::known(std::span<const int32_t> ids, int64_t multiple, uint64_t salt) const {
  return std::ssize(find_all(ids, multiple, salt)) * options_.block;
}

int64_t BlockCache::recall(Row row, std::span<const int32_t> ids, int64_t multiple, uint64_t salt) {
  RowState& state = rows_.at(row);
  TORCH_INTERNAL_ASSERT(state.length == 0, "an empty row");
  std::vector<int32_t> found = find_all(ids, multiple, salt);
  if (options_.recurrent && !found.empty()) {
    BlockState& last = blocks_[static_cast<size_t>(found.back())];
    last.used = ++clock_;
    state.states.start(last.states);
  }
  for (const int32_t block : found) {
    BlockState& held = blocks_[static_cast<size_t>(block)];
    if (held.rows++ == 0) idle_.erase(held.left);
  }
  state.blocks = std::move(found);
  state.length = std::ssize(state.blocks) * options_.block;
  return state.length;
}

void BlockCache::begin(std::vector<Piece> pieces, bool revocable) {
  pieces_ = std::move(pieces);
  masks_.clear();
  for (const Piece& piece : pieces_) {
    RowState& row = rows_.at(piece.row);
    reserve(row, row.length + piece.count);
    if (options_.recurrent) row.states.begin(layers_.size(), row.length, revocable);
  }
}

void BlockCache::end() {
  for (const Piece& piece : pieces_) {
    RowState& row = rows_.at(piece.row);
    row.length += piece.count;
    if (options_.recurrent) row.states.end();
  }
  pieces_.clear(), masks_.clear();
}

/// k and v [G, T, head_dim].
void BlockCache::write(BlockStorage& layer, const Tensor& k, const Tensor& v) {
  int64_t from = 0;
  for (const Piece& piece : pieces_) {
    const RowState& row = rows_.at(piece.row);
    for (int64_t done = 0; done < piece.count;) {
      const int64_t at = (row.length + done) % options_.block,
                    count = std::min(piece.count - done, options_.block - at);
      const int32_t block = row.blocks[static_cast<size_t>((row.length + done) / options_.block)];
      layer.write(block, at, k.narrow(1, from + done, count), v.narrow(1, from + done, count));
      done += count;
    }
    from += piece.count;
  }
}

Tensor BlockCache::attend(size_t index, const Tensor& q, const Tensor& k, const Tensor& v,
                          const AttendOptions& options) {
  BlockStorage& layer = layers_.at(index);
  write(layer, k.squeeze(0), v.squeeze(0));
  Tensor out = at::empty({q.size(2), q.size(1) * q.size(3)}, q.options());
  const bool by_kernel = layer.readable();
  bool any_short = false;
  int64_t from = 0;
  for (const Piece& piece : pieces_) {
    if (!by_kernel || piece.count >= long_piece) {
      Tensor part = out.narrow(0, from, piece.count);
      attend_long(layer, piece, q.narrow(2, from, piece.count), options, part);
    } else {
      any_short = true;
    }
    from += piece.count;
  }
  if (any_short) attend_short(layer, q, options, out);
  return out.unsqueeze(0);
}

/// Additive mask [1, 1, n, S] of a piece; absent where plain causal attention needs none.
const Tensor& BlockCache::mask_of(const Piece& piece, std::optional<int64_t> window, at::Device device) {
  const int64_t begin = rows_.at(piece.row).length, end = begin + piece.count;
  const bool windowed = window && *window < end;
  const auto [at, fresh] = masks_.try_emplace({piece.row, windowed ? *window : 0});
  if (!fresh || (!windowed && (begin == 0 || piece.count == 1))) return at->second;
  const Tensor queries = at::arange(begin, end, at::TensorOptions(at::kLong).device(device)).unsqueeze(1);
  const Tensor keys = at::arange(end, at::TensorOptions(at::kLong).device(device)).unsqueeze(0);
  Tensor hidden = keys > queries;
  if (windowed) hidden = hidden | (queries - keys >= *window);
  at->second = at::zeros({piece.count, end}, at::TensorOptions(at::kFloat).device(device))
                   .masked_fill_(hidden, -std::numeric_limits<double>::infinity())
                   .unsqueeze(0)
                   .unsqueeze(0);
  return at->second;
}

void BlockCache::attend_long(const BlockStorage& layer, const Piece& piece, const Tensor& q,
                             const AttendOptions& options, Tensor& out) {
  const RowState& row = rows_.at(piece.row);
  const auto [keys, values] = layer.gathered(row.blocks, row.length + piece.count, q.scalar_type());
  const Tensor& mask = mask_of(piece, options.window, q.device());
  out.copy_(attend_grouped(q, keys, values, {.mask = mask, .scale = options.scale, .cap = options.cap}).squeeze(0));
}

/// Positions of short pieces, each with the heads of one group, spread over the threads.
void BlockCache::attend_short(const BlockStorage& layer, const Tensor& q, const AttendOptions& options,
                              Tensor& out) const {
  struct Position {
    const RowState* row;
    int64_t token, index;  // along T, in the row
  };
  std::vector<Position> positions;
  int64_t from = 0, work = 0;
  for (const Piece& piece : pieces_) {
    const RowState& row = rows_.at(piece.row);
    for (int64_t i = 0; piece.count < long_piece && i < piece.count; ++i) {
      positions.push_back({&row, from + i, row.length + i});
      work += row.length + i + 1;
    }
    from += piece.count;
  }
  const int64_t heads = q.size(1), head_dim = q.size(3), groups = layer.heads(), each = heads / groups;
  const Tensor queries =
      (q.squeeze(0).transpose(0, 1).to(at::kFloat) * options.scale).contiguous();  // [T, H, head_dim]
  const Tensor sums = at::empty({q.size(2), heads * head_dim}, queries.options());
  const float* const from_q = queries.const_data_ptr<float>();
  float* const to = sums.mutable_data_ptr<float>();
  const auto tasks = std::ssize(positions) * groups;
  const int64_t grain = work * heads * head_dim < (int64_t{1} << 16) ? tasks : 1;
  at::parallel_for(0, tasks, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch;
    std::vector<blocks::Block> views;
    for (int64_t task = begin; task < end; ++task) {
      const Position& p = positions[static_cast<size_t>(task / groups)];
      const int64_t group = task % groups, offset = (p.token * heads + group * each) * head_dim;
      const auto count = static_cast<size_t>(p.index / options_.block + 1);
      views.clear();
      for (size_t b = 0; b < count; ++b) views.push_back(layer.view(p.row->blocks[b], group));
      blocks::attend(layer.format(),
                     {.q = from_q + offset,
                      .heads = each,
                      .head_dim = head_dim,
                      .begin = options.window ? std::max<int64_t>(0, p.index + 1 - *options.window) : 0,
                      .end = p.index + 1,
                      .block_size = options_.block,
                      .blocks = views.data(),
                      .cap = static_cast<float>(options.cap.value_or(0)),
                      .out = to + offset},
                     scratch);
    }
  });
  from = 0;
  for (const Piece& piece : pieces_) {
    if (piece.count < long_piece) out.narrow(0, from, piece.count).copy_(sums.narrow(0, from, piece.count));
    from += piece.count;
  }
}

std::vector<BlockCache::Place> BlockCache::places() const {
  std::vector<Place> all;
  for (const Piece& piece : pieces_) {
    const RowState& row = rows_.at(piece.row);
    for (int64_t i = 0; i < piece.count; ++i) all.push_back({&row.blocks, row.length + i});
  }
  return all;
}

void BlockCache::make_room(at::ScalarType type, int64_t heads, int64_t head_dim) {
  const auto last = static_cast<int32_t>(blocks_.size()) - 1;
  for (BlockStorage& layer : layers_) layer.make_room(last, type, heads, head_dim);
}

void BlockCache::take_capacity(at::ScalarType type, int64_t heads, int64_t head_dim) {
  const auto count = static_cast<int32_t>(options_.capacity);
  for (BlockStorage& layer : layers_) {
    if (count > 0) layer.make_room(count - 1, type, heads, head_dim);
    for (int32_t block = 0; block < count; ++block) layer.clear(block);  // touched, so that it is there
  }
}

void BlockCache::write_head(size_t layer, const Place& place, int64_t head, const float* k, const float* v) {
  const int32_t block = (*place.blocks)[static_cast<size_t>(place.index / options_.block)];
  layers_[layer].write_head(block, place.index % options_.block, head, k, v);
}

void BlockCache::attend_head(size_t layer, const Place& place, int64_t head, blocks::Query query,
                             std::vector<blocks::Block>& views, std::vector<float>& scores) const {
  view_blocks(layer, place, head, views);
  query.block_size = options_.block;
  query.blocks = views.data();
  blocks::attend(layers_[layer].format(), query, scores);
}

void BlockCache::attend_tile(size_t layer, const Place& last, int64_t head, blocks::Tile tile,
                             std::vector<blocks::Block>& views, std::vector<float>& scratch) const {
  view_blocks(layer, last, head, views);
  tile.block_size = options_.block;
  tile.blocks = views.data();
  blocks::attend(layers_[layer].format(), tile, scratch);
}

/// The blocks up to that of a place.
void BlockCache::view_blocks(size_t layer, const Place& place, int64_t head, std::vector<blocks::Block>& views) const {
  const auto count = static_cast<size_t>(place.index / options_.block + 1);
  views.clear();
  for (size_t b = 0; b < count; ++b) views.push_back(layers_[layer].view((*place.blocks)[b], head));
}

int64_t BlockCache::bytes() const {
  int64_t total = 0;
  for (const BlockStorage& layer : layers_) total += layer.bytes();
  std::set<const void*> counted;  // rows and blocks share states
  for (const auto& [row, state] : rows_) total += state.states.bytes(counted);
  for (const BlockState& block : blocks_) total += block.states ? block.states->bytes(counted) : 0;
  return total;
}

}  // namespace tessera::nn
