// Where the keys and values of blocks lie: slabs of blocks that double in size, so that nothing is ever copied to grow.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "nn/kernels/tile_attention.h"
#include "tensor/tensor.h"

namespace tessera::nn {

/// One layer's blocks. A block has room for `size` positions of every head of keys and values, in the format `stored`, of which kChar
/// means integers with absmax / 127 of each position and head as scale; absent: in the format of what is written first.
class BlockStorage {
 public:
  BlockStorage(int64_t size, std::optional<at::ScalarType> stored)
      : size_(size), stored_(stored), int8_(stored == at::kChar) {
    TORCH_INTERNAL_ASSERT(!stored || int8_ || stored == at::kFloat || stored == at::kBFloat16 || stored == at::kHalf);
  }

  /// Writes k and v [G, n, head_dim] to positions `at` to at + n of a block.
  void write(int32_t block, int64_t at, const Tensor& k, const Tensor& v);
  /// Makes the slabs up to that of a block, for keys and values of `type` on the CPU; in another format where one was given.
  void make_room(int32_t block, at::ScalarType type, int64_t heads, int64_t head_dim);
  /// Zeros in a block.
  void clear(int32_t block);
  /// Writes one position of one head, k and v [head_dim] fp32, to where there is room.
  void write_head(int32_t block, int64_t at, int64_t head, const float* k, const float* v);
  /// The first `count` positions of one block become those of another.
  void copy(int32_t from, int32_t to, int64_t count);
  /// Keys and values [1, G, length, head_dim] of positions that lie in these blocks, in format `type`: a copy.
  std::pair<Tensor, Tensor> gathered(const std::vector<int32_t>& blocks, int64_t length, at::ScalarType type) const;
  /// What a kernel reads of head `head` of a block.
  blocks::Block view(int32_t block, int64_t head) const;
  blocks::Format format() const;
  /// Heads of keys and values, G.
  int64_t heads() const { return slabs_.front().keys.size(1); }
  /// Whether a kernel can read it: on the CPU, in fp32, bf16 or 8 bits.
  bool readable() const;
  int64_t bytes() const;

 private:
  struct Slab {
    Tensor keys, values;              // [blocks, G, size, head_dim]
    Tensor key_scales, value_scales;  // [blocks, G, size] fp32, int8 only
  };
  /// A block's slab and its index there; the slab is made when it is not there yet and `like` is given.
  std::pair<Slab*, int64_t> find(int32_t block, const Tensor* like);
  std::pair<const Slab*, int64_t> find(int32_t block) const;
  int64_t size_;
  std::optional<at::ScalarType> stored_;
  bool int8_;
  std::vector<Slab> slabs_;
};

}  // namespace tessera::nn
