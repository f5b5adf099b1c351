// Tensors and threads around the kernels of nn/kernels/blocks; and blocks as files hold them.
#include "nn/packed/block_weight.h"

#include <algorithm>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include "core/error.h"
#include "nn/kernels/row_linear.h"
#include "nn/packed/packed_format.h"
#include "tensor/large_pages.h"

namespace tessera::nn {

namespace {

using blocks::Activations;
using blocks::Matrix;
using blocks::Precision;

constexpr int64_t most_rows_in_16_bits = 31;
constexpr int64_t weights_worth_a_thread = 1 << 16;
constexpr int64_t weights_unpacked_at_once = 1 << 20;

int64_t groups_per_thread(int64_t in) {
  return std::max<int64_t>(1, weights_worth_a_thread / (in * blocks::tile_rows));
}

/// x [rows, in] fp32 -> [rows, out] fp32.
Tensor by_kernel(const Tensor& x, const Matrix& weight, Precision precision) {
  const Tensor y = at::empty({x.size(0), weight.out}, x.options());
  const float* const from = x.const_data_ptr<float>();
  float* const to = y.mutable_data_ptr<float>();
  Activations rounded = blocks::room_for(weight.type, x.size(0), weight.in, blocks::best_path(), precision);
  const int64_t slices_per_thread = std::max<int64_t>(1, weights_worth_a_thread / (weight.in * rounded.height));
  at::parallel_for(0, rounded.slices(), slices_per_thread,
                   [&](int64_t begin, int64_t end) { blocks::round_slices(from, begin, end, rounded); });
  at::parallel_for(0, weight.groups(), groups_per_thread(weight.in), [&](int64_t begin, int64_t end) {
    const int64_t last = std::min(end * blocks::tile_rows, weight.out);
    blocks::multiply(weight, rounded, begin * blocks::tile_rows, last, to);
  });
  return y;
}

/// x [rows, in] fp32 -> [rows, out] fp32, a row's numbers whatever stands beside it.
Tensor by_unpacked_rows(const Tensor& x, const Matrix& weight) {
  const Tensor y = at::empty({x.size(0), weight.out}, x.options());
  const float* const from = x.const_data_ptr<float>();
  float* const to = y.mutable_data_ptr<float>();
  at::parallel_for(
      0, weight.out, std::max<int64_t>(1, weights_worth_a_thread / weight.in),
      [&](int64_t begin, int64_t end) { blocks::multiply_unpacked(weight, from, x.size(0), begin, end, to); });
  return y;
}

class BlockRowProduct final : public RowProduct {
 public:
  explicit BlockRowProduct(BlockWeight weight, Precision precision)
      : weight_(std::move(weight)), matrix_(weight_.matrix()), precision_(precision) {}
  int64_t out() const override { return matrix_.out; }
  int64_t in() const override { return matrix_.in; }
  int64_t preparation() const override {
    const blocks::Form form = blocks::form_of(matrix_.type);
    const int64_t kind = precision_ == Precision::eight_bits ? 3 : 2;
    return blocks::interleaves(matrix_.type) ? (kind << 32) + form.span * 256 + form.zero : 0;
  }
  void prepare(const float* x, int64_t rows, RowScratch& scratch) const override {
    if (!blocks::interleaves(matrix_.type)) return;
    make_room(rows, scratch);
    blocks::round_slices(x, 0, scratch.blocks.slices(), scratch.blocks);
  }
  bool takes_many() const override { return blocks::interleaves(matrix_.type); }
  void make_room(int64_t rows, RowScratch& scratch) const override {
    scratch.blocks =
        blocks::room_for(matrix_.type, rows, matrix_.in, blocks::best_path(), precision_, std::move(scratch.blocks));
  }
  void round(const blocks::Part& part, RowScratch& scratch) const override { blocks::round_part(part, scratch.blocks); }
  void multiply(const float* x, int64_t rows, const RowScratch& scratch, int64_t begin, int64_t end,
                float* y) const override {
    if (blocks::interleaves(matrix_.type)) blocks::multiply(matrix_, scratch.blocks, begin, end, y);
    else blocks::multiply_unpacked(matrix_, x, rows, begin, end, y);
  }

 private:
  BlockWeight weight_;
  Matrix matrix_;
  Precision precision_;
};

class BlockFormat final : public PackedFormat {
 public:
  bool holds(const StoredLayer& layer) const override {
    const StoredTensor* stored = layer.find(".weight");
    return stored != nullptr && blocks::block_type_named(stored->blocks) != nullptr;
  }
  std::vector<StoredPart> parts(const StoredLayer& layer) const override {
    return {{".weight", {layer.out, layer.in}, {Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::u8, Dtype::i8}}};
  }
  std::shared_ptr<const PackedWeight> load(const StoredLayer& layer) const override {
    const StoredTensor& stored = *layer.find(".weight");
    const blocks::BlockTypeInfo& what = *blocks::block_type_named(stored.blocks);
    if (layer.in % what.weights != 0)
      throw UserError("[quant] {}: {}.weight has rows of {} weights; want whole {} blocks of {}", layer.where(),
                      layer.name, layer.in, what.name, what.weights);
    const int64_t want = layer.out * blocks::bytes_of(what.type, layer.in);
    if (static_cast<int64_t>(stored.bytes.size()) != want)
      throw UserError("[quant] {}: {}.weight has {} bytes, want {} for {} of {}", layer.where(), layer.name,
                      stored.bytes.size(), want, shape_text({layer.out, layer.in}), what.name);
    const auto* bytes = reinterpret_cast<const uint8_t*>(stored.bytes.data());
    auto weight = std::make_shared<BlockWeight>(what.type, layer.out, layer.in, bytes,
                                                layer.exact ? Precision::sixteen_bits : Precision::eight_bits);
    release_pages(stored.bytes);
    return weight;
  }
};

}  // namespace

const PackedFormat& block_format() {
  static const BlockFormat format;
  return format;
}

BlockWeight::BlockWeight(blocks::BlockType type, int64_t out, int64_t in, const uint8_t* file,
                         blocks::Precision activations)
    : type_(type), out_(out), in_(in), activations_(activations),
      bytes_(empty_in_large_pages({out * blocks::bytes_of(type, in)}, at::kByte)) {
  auto* const to = bytes_.mutable_data_ptr<uint8_t>();
  at::parallel_for(0, matrix().groups(), groups_per_thread(in),
                   [&](int64_t begin, int64_t end) { blocks::arrange(type, file, out, in, begin, end, to); });
}

Matrix BlockWeight::matrix() const {
  return {.type = type_, .out = out_, .in = in_, .bytes = bytes_.const_data_ptr<uint8_t>()};
}

std::shared_ptr<const RowProduct> BlockWeight::row_product() const {
  return std::make_shared<BlockRowProduct>(*this, activations_);
}

Tensor BlockWeight::rows(int64_t first, int64_t count) const {
  const Tensor all = at::empty({count, in_}, at::kFloat);
  float* const to = all.mutable_data_ptr<float>();
  const Matrix weight = matrix();
  at::parallel_for(0, count, std::max<int64_t>(1, weights_worth_a_thread / in_), [&](int64_t begin, int64_t end) {
    blocks::unpack_rows(weight, first + begin, end - begin, to + begin * in_);
  });
  return all;
}

Tensor BlockWeight::product(const Tensor& x) const {
  if (!x.device().is_cpu()) return at::linear(x, unpack().to(x.options()));
  const Tensor flat = x.reshape({-1, x.size(-1)}).to(at::kFloat).contiguous();
  const bool few = flat.size(0) <= most_rows_in_16_bits || RowByRow::applies_to(x);
  Tensor y;
  if (flat.size(0) == 0) {
    y = at::empty({0, out_}, flat.options());
  } else if (blocks::interleaves(type_)) {
    y = by_kernel(flat, matrix(), activations_);
  } else if (few) {
    y = by_unpacked_rows(flat, matrix());
  } else {
    y = at::empty({flat.size(0), out_}, flat.options());
    const int64_t block = std::max<int64_t>(1, weights_unpacked_at_once / in_);
    for (int64_t first = 0; first < out_; first += block) {
      const int64_t count = std::min(block, out_ - first);
      y.narrow(1, first, count).copy_(at::linear(flat, rows(first, count)));
    }
  }
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = out_;
  return y.to(x.scalar_type()).view(shape);
}

std::vector<NamedTensor> BlockWeight::stored() const {
  throw UserError("[quant] weights in {} blocks have no place in safetensors files; convert the model first", format());
}

std::shared_ptr<const PackedWeight> BlockWeight::to(at::Device device) const {
  if (device.is_cpu()) return std::make_shared<BlockWeight>(*this);
  throw UserError("[quant] weights in {} blocks are multiplied on the CPU alone, got {}; convert the model to move it",
                  format(), device.str());
}

std::shared_ptr<const BlockWeight> rounded_to_blocks(const Tensor& weight, blocks::BlockType type) {
  const Tensor wide = weight.detach().to(at::kFloat).contiguous();
  const int64_t out = wide.size(0), in = wide.size(1), row_bytes = blocks::bytes_of(type, in);
  std::vector<uint8_t> bytes(static_cast<size_t>(out * row_bytes));
  const float* const from = wide.const_data_ptr<float>();
  at::parallel_for(0, out, std::max<int64_t>(1, weights_worth_a_thread / in), [&](int64_t begin, int64_t end) {
    blocks::pack(type, from + begin * in, (end - begin) * in, bytes.data() + begin * row_bytes);
  });
  return std::make_shared<BlockWeight>(type, out, in, bytes.data());
}

}  // namespace tessera::nn
