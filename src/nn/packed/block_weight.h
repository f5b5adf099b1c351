// A weight in the blocks of a GGUF file: how it is loaded and multiplied. It takes as many bytes as in the file.
#pragma once

#include "nn/kernels/blocks/block_product.h"
#include "nn/packed/packed_weight.h"

namespace tessera::nn {

class BlockWeight final : public PackedWeight {
 public:
  /// Blocks in the order of the file, out * bytes_of(type, in) of them; `in` is a multiple of a block's weights.
  BlockWeight(blocks::BlockType type, int64_t out, int64_t in, const uint8_t* file,
              blocks::Precision activations = blocks::Precision::sixteen_bits);

  std::string_view format() const override { return blocks::info(type_).name; }
  int64_t out() const override { return out_; }
  int64_t in() const override { return in_; }
  /// Activations are rounded as finely as the weight was told. Types without kernels (blocks::interleaves) are unpacked and multiplied in fp32.
  Tensor product(const Tensor& x) const override;
  std::shared_ptr<const RowProduct> row_product() const override;
  Tensor rows(int64_t first, int64_t count) const override;
  std::vector<NamedTensor> parts() const override { return {{"blocks", bytes_}}; }
  /// Throws UserError: a safetensors file has no place for blocks.
  std::vector<NamedTensor> stored() const override;
  /// Throws UserError for anything but the CPU.
  std::shared_ptr<const PackedWeight> to(at::Device device) const override;

  /// What kernels read.
  blocks::Matrix matrix() const;

 private:
  blocks::BlockType type_;
  int64_t out_, in_;
  blocks::Precision activations_;
  Tensor bytes_;  // [out * bytes of a row] uint8
};

/// weight [out, in] of floating point on the CPU, rounded to nearest; `in` is a multiple of the type's block.
std::shared_ptr<const BlockWeight> rounded_to_blocks(const Tensor& weight, blocks::BlockType type);

}  // namespace tessera::nn
