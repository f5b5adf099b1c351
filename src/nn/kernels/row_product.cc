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
}  // namespace

std::shared_ptr<const RowProduct> row_product_of(const Tensor& weight) {
  if (!rows::runs() || !weight.defined() || !weight.is_cpu() || !weight.is_contiguous() || weight.dim() != 2)
    return nullptr;
  const at::ScalarType type = weight.scalar_type();
  if (type == at::kFloat) return std::make_shared<PlainRowProduct>(weight, rows::Kind::fp32);
  if (type == at::kHalf) return std::make_shared<PlainRowProduct>(weight, rows::Kind::fp16);
  if (type == at::kBFloat16) return std::make_shared<PlainRowProduct>(weight, rows::Kind::bf16);
  return nullptr;
}

}  // namespace tessera::nn
