// Plain weights by the kernels of row_linear.h.
#include "nn/kernels/row_product.h"

#include "nn/kernels/row_linear.h"

namespace tessera::nn {

namespace {
class PlainRowProduct final : public RowProduct {
 public:
  PlainRowProduct(Tensor weight, rows::Kind kind) : weight_(std::move(weight)), kind_(kind) {}
  int64_t out() const override { return weight_.size(0); }
  int64_t in() const override { return weight_.size(1); }
  void multiply(const float* x, int64_t rows, const RowScratch&, int64_t begin, int64_t end, float* y) const override {
    rows::multiply(kind_, weight_.const_data_ptr(), x, rows, in(), out(), begin, end, y);
  }

 private:
  Tensor weight_;
  rows::Kind kind_;
};

class Bf16RowProduct final : public RowProduct {
 public:
  explicit Bf16RowProduct(Tensor weight) : weight_(std::move(weight)) {}
  int64_t out() const override { return weight_.size(0); }
  int64_t in() const override { return weight_.size(1); }
  int64_t preparation() const override { return int64_t{4} << 32; }
  void prepare(const float* x, int64_t rows, RowScratch& scratch) const override {
    scratch.bf16.resize(static_cast<size_t>(rows * in()));
    rows::round_to_bf16(x, rows * in(), scratch.bf16.data());
  }
  void multiply(const float*, int64_t rows, const RowScratch& scratch, int64_t begin, int64_t end,
                float* y) const override {
    const auto* weight = static_cast<const uint16_t*>(weight_.const_data_ptr());
    rows::multiply_bf16(weight, scratch.bf16.data(), rows, in(), out(), begin, end, y);
  }

 private:
  Tensor weight_;
};
}  // namespace

std::shared_ptr<const RowProduct> row_product_of(const Tensor& weight, bool in_bf16) {
  if (!rows::runs() || !weight.defined() || !weight.is_cpu() || !weight.is_contiguous() || weight.dim() != 2)
    return nullptr;
  const at::ScalarType type = weight.scalar_type();
  if (type == at::kFloat) return std::make_shared<PlainRowProduct>(weight, rows::Kind::fp32);
  if (type == at::kHalf) return std::make_shared<PlainRowProduct>(weight, rows::Kind::fp16);
  if (type == at::kBFloat16 && in_bf16 && rows::has_bf16_dot()) return std::make_shared<Bf16RowProduct>(weight);
  if (type == at::kBFloat16) return std::make_shared<PlainRowProduct>(weight, rows::Kind::bf16);
  return nullptr;
}

}  // namespace tessera::nn
