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

/// x is rounded to bf16 beside a weight that is stored so.
class Bf16RowProduct : public RowProduct {
 public:
  explicit Bf16RowProduct(Tensor weight) : weight_(std::move(weight)) {}
  int64_t out() const override { return weight_.size(0); }
  int64_t in() const override { return weight_.size(1); }
  int64_t preparation() const override { return int64_t{4} << 32; }
  void prepare(const float* x, int64_t rows, RowScratch& scratch) const override {
    make_room(rows, scratch);
    rows::round_to_bf16(x, rows * in(), scratch.bf16.data());
  }
  bool takes_many() const override { return rows::bf16_dot_suits_many(); }
  void make_room(int64_t rows, RowScratch& scratch) const override {
    scratch.bf16.resize(static_cast<size_t>(rows * in()));
  }
  void round(const blocks::Part& part, RowScratch& scratch) const override {
    const int64_t count = part.last - part.first;
    for (int64_t r = part.begin; r < part.end; ++r)
      rows::round_to_bf16(part.x + (r - part.begin) * part.stride, count, scratch.bf16.data() + r * in() + part.first);
  }
  void multiply(const float*, int64_t rows, const RowScratch& scratch, int64_t begin, int64_t end,
                float* y) const override {
    rows::multiply_bf16(numbers(), scratch.bf16.data(), rows, in(), out(), begin, end, y);
  }

 protected:
  const uint16_t* numbers() const { return static_cast<const uint16_t*>(weight_.const_data_ptr()); }

 private:
  Tensor weight_;
};

/// Of a weight in fp16: in fp32 after prepare(); after make_room() and round() in bf16, to which the weight is rounded too.
class Fp16RowProduct final : public Bf16RowProduct {
 public:
  using Bf16RowProduct::Bf16RowProduct;
  int64_t preparation() const override { return int64_t{5} << 32; }
  void prepare(const float*, int64_t, RowScratch& scratch) const override { scratch.bf16.clear(); }
  void multiply(const float* x, int64_t rows, const RowScratch& scratch, int64_t begin, int64_t end,
                float* y) const override {
    if (scratch.bf16.empty()) rows::multiply(rows::Kind::fp16, numbers(), x, rows, in(), out(), begin, end, y);
    else rows::multiply_fp16_in_bf16(numbers(), scratch.bf16.data(), rows, in(), out(), begin, end, y);
  }
};
}  // namespace

std::shared_ptr<const RowProduct> row_product_of(const Tensor& weight, bool in_bf16) {
  if (!rows::runs() || !weight.defined() || !weight.is_cpu() || !weight.is_contiguous() || weight.dim() != 2)
    return nullptr;
  const at::ScalarType type = weight.scalar_type();
  if (type == at::kFloat) return std::make_shared<PlainRowProduct>(weight, rows::Kind::fp32);
  if (type == at::kHalf && in_bf16 && rows::has_bf16_dot()) return std::make_shared<Fp16RowProduct>(weight);
  if (type == at::kHalf) return std::make_shared<PlainRowProduct>(weight, rows::Kind::fp16);
  if (type == at::kBFloat16 && in_bf16 && rows::has_bf16_dot()) return std::make_shared<Bf16RowProduct>(weight);
  if (type == at::kBFloat16) return std::make_shared<PlainRowProduct>(weight, rows::Kind::bf16);
  return nullptr;
}

}  // namespace tessera::nn
