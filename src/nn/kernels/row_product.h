// A weight as a pass on plain memory multiplies it: rows of fp32 numbers against columns that threads share out among them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "nn/kernels/blocks/block_product.h"
#include "nn/kernels/int4_kernel.h"
#include "tensor/tensor.h"

namespace tessera::nn {

/// What a product makes of its inputs before it multiplies; kept by a thread from one call to the next, so that it need not be
/// allocated again.
struct RowScratch {
  int4::Activations int4;
  blocks::Activations blocks;
  std::vector<uint16_t> bf16;
};

/// W [out, in] for x [rows, in] fp32. What a row becomes depends on that row alone, bit for bit, among products prepared in one way:
/// by prepare(), or by make_room() and round(), after which multiply() does not look at x.
class RowProduct {
 public:
  virtual ~RowProduct() = default;
  virtual int64_t out() const = 0;
  virtual int64_t in() const = 0;
  /// Products of one number make the same of the same x; 0: nothing.
  virtual int64_t preparation() const { return 0; }
  /// What multiply() of the same x wants.
  virtual void prepare(const float* /*x*/, int64_t /*rows*/, RowScratch& /*scratch*/) const {}
  /// Whether hundreds of rows are multiplied well too. Then threads may share what prepare() does: one makes room, all round rows.
  virtual bool takes_many() const { return false; }
  /// Room for what round() makes of `rows` rows.
  virtual void make_room(int64_t /*rows*/, RowScratch& /*scratch*/) const {}
  /// Rounds a part of them.
  virtual void round(const blocks::Part& /*part*/, RowScratch& /*scratch*/) const {}
  /// y [rows, out] fp32: writes columns begin to end, which are multiples of 16 but for the last.
  virtual void multiply(const float* x, int64_t rows, const RowScratch& scratch, int64_t begin, int64_t end,
                        float* y) const = 0;
};

/// Of a contiguous fp32, fp16 or bf16 weight [out, in] on the CPU; null for others, and where no kernel runs. `in_bf16`: x is rounded to
/// bf16 beside a bf16 weight where the processor multiplies the two; beside an fp16 weight where rows are many.
std::shared_ptr<const RowProduct> row_product_of(const Tensor& weight, bool in_bf16 = false);

}  // namespace tessera::nn
