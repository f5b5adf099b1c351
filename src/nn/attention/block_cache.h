// The cache of token sequences of unlike length: a row is a list of blocks, blocks are counted, and rows that begin alike share
// them. What a row attends to and in which order it is summed depends on that row alone. Recurrent states lie beside the blocks.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <unordered_map>
#include <vector>

#include "nn/attention/block_storage.h"
#include "nn/attention/kv_cache.h"

namespace tessera::nn {

struct BlockCacheOptions {
  int64_t depth = 0;   // layers
  int64_t block = 64;  // positions of a block
  /// Of keys and values; kChar: integers with a scale per position and head; absent: as they come.
  std::optional<at::ScalarType> stored = {};
  int64_t capacity = 0;  // blocks at most; 0: as many as are needed
  int64_t known = 512;   // blocks without a row that are kept, because another prompt may begin with them
  /// Some layers have a recurrent state. A row then begins, and is taken back to, only where states are at hand.
  bool recurrent = false;
  /// Bytes of the states that are kept at the ends of blocks; those used least recently leave first.
  int64_t state_bytes = int64_t{256} << 20;
};

class BlockCache final : public KvCache {
 public:
  using Row = int64_t;
  /// What one row reads in a pass.
  struct Piece {
    Row row = 0;
    int64_t count = 0;  // new positions
  };
  /// Pieces of at least so many positions attend by LibTorch's kernel, shorter ones position by position.
  static constexpr int64_t long_piece = 32;

  /// Throws UserError for a depth below 0 or a block below 1.
  explicit BlockCache(const BlockCacheOptions& options);

  /// A row without positions.
  Row add();
  /// A row that begins as the first `length` positions of another, or as fewer, as for rewind(). Whole blocks are shared, a part of one
  /// is copied when it is written to.
  Row fork(Row row, int64_t length);
  /// Forgets a row. Blocks that remember() named stay until others need the room.
  void release(Row row);
  /// Forgets all but a row's first `length` positions; returns how many are left. With recurrent layers these are fewer where no state
  /// of that length is at hand: they are to be read again.
  int64_t rewind(Row row, int64_t length);
  /// Keeps the recurrent states of a row as it is now: where a block ends with the block, also for other rows, as long as there is room;
  /// elsewhere for this row, until the next such call.
  void keep_states(Row row);
  int64_t length(Row row) const { return rows_.at(row).length; }
  /// Blocks that rows hold.
  int64_t held() const { return std::ssize(blocks_) - std::ssize(free_) - std::ssize(idle_); }
  int64_t rows() const { return static_cast<int64_t>(rows_.size()); }

  /// Names the whole blocks of a row by the ids in them: a block is known by its ids and by all before them (a chained hash;
  /// the ids themselves are compared too). `salt` tells apart what ids mean: another adapter, other pictures.
  void remember(Row row, std::span<const int32_t> ids, uint64_t salt = 0);
  /// How many positions recall() would find.
  int64_t known(std::span<const int32_t> ids, int64_t multiple, uint64_t salt = 0) const;
  /// Lets an empty row begin with the known blocks that `ids` begin with, in whole multiples of `multiple` positions and short
  /// of all of them; returns how many positions those are.
  int64_t recall(Row row, std::span<const int32_t> ids, int64_t multiple, uint64_t salt = 0);

  /// Opens a pass over these pieces, row after row along T. Each layer then attends once, and end() lengthens the rows. A pass
  /// that was begun and not ended leaves the rows as they were. `revocable`: rows may be taken back to any position of it, also where
  /// layers are recurrent.
  void begin(std::vector<Piece> pieces, bool revocable = false);
  void end();
  Tensor attend(size_t layer, const Tensor& q, const Tensor& k, const Tensor& v, const AttendOptions& options) override;
  Tensor recur(size_t layer, const Tensor& inputs, const RecurrentStep& step) override;

  /// Plain memory for kernels that do without attend(). One position of the pass under way:
  struct Place {
    const std::vector<int32_t>* blocks;  // of its row
    int64_t index;                       // in the row
  };
  /// The positions of the pass, in order along T.
  std::vector<Place> places() const;
  /// Room in every layer for the blocks of the pass; calls with places are safe from several threads then. `type` is the format of
  /// keys and values where no other was given, on the CPU: fp32 or bf16.
  void make_room(at::ScalarType type, int64_t heads, int64_t head_dim);
  /// Takes the memory of all `capacity` blocks now, so that a full cache cannot be refused it later.
  void take_capacity(at::ScalarType type, int64_t heads, int64_t head_dim);
  /// Writes one head's key and value [head_dim] of a place.
  void write_head(size_t layer, const Place& place, int64_t head, const float* k, const float* v);
  /// Attention of query heads that share head `head` of keys and values; `query` without its blocks. `views` and `scores` are room that
  /// is kept between calls.
  void attend_head(size_t layer, const Place& place, int64_t head, blocks::Query query,
                   std::vector<blocks::Block>& views, std::vector<float>& scores) const;
  /// The same for neighbouring positions of one row, of which `last` is the last; `tile` without its blocks.
  void attend_tile(size_t layer, const Place& last, int64_t head, blocks::Tile tile, std::vector<blocks::Block>& views,
                   std::vector<float>& scratch) const;

  int64_t bytes() const override;

 private:
  struct RowState {
    std::vector<int32_t> blocks;
    int64_t length = 0;
    RecurrentRow states = {};
  };
  struct BlockState {
    int32_t rows = 0;          // that hold it
    uint64_t hash = 0;         // 0: not known
    uint64_t parent = 0;       // hash of the block before
    std::vector<int32_t> ids;  // of a known block
    uint64_t left = 0;         // when its last row left
    KeptStates states = {};    // after its last position, where they are kept
    uint64_t used = 0;         // when they were last of use
  };
  int32_t allocate();
  void let_go(int32_t block);
  void forget(int32_t block);
  void reserve(RowState& row, int64_t length);
  void keep_at(int32_t block, const KeptStates& states);
  RecurrentRow::Kept last_kept(const RowState& row, int64_t length);
  std::vector<int32_t> find_all(std::span<const int32_t> ids, int64_t multiple, uint64_t salt) const;
  int32_t find(uint64_t hash, uint64_t parent, std::span<const int32_t> ids) const;
  void write(BlockStorage& layer, const Tensor& k, const Tensor& v);
  void attend_long(const BlockStorage& layer, const Piece& piece, const Tensor& q, const AttendOptions& options,
                   Tensor& out);
  void attend_short(const BlockStorage& layer, const Tensor& q, const AttendOptions& options, Tensor& out) const;
  void view_blocks(size_t layer, const Place& place, int64_t head, std::vector<blocks::Block>& views) const;
  const Tensor& mask_of(const Piece& piece, std::optional<int64_t> window, at::Device device);

  BlockCacheOptions options_;
  std::vector<BlockStorage> layers_;
  std::map<Row, RowState> rows_;
  Row next_row_ = 0;
  std::vector<BlockState> blocks_;
  std::vector<int32_t> free_;
  std::unordered_map<uint64_t, int32_t> known_;
  std::map<uint64_t, int32_t> idle_;  // known blocks without a row, by when they were left
  uint64_t clock_ = 0;
  std::vector<Piece> pieces_;
  std::map<std::pair<Row, int64_t>, Tensor> masks_;  // of the pass, by row and window
};

}  // namespace tessera::nn
