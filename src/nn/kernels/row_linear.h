// Products whose rows do not depend on each other: what a row of x becomes is the same whatever stands beside it. Matrix
// products of a library choose their path by the number of rows, and with it the order of sums. The steps of generation
// use these instead, so that a request is answered alike alone and in a crowd. Weights are read once as they are stored.
#pragma once

#include <cstdint>
#include <functional>

#include "tensor/tensor.h"

namespace tessera::nn {

/// While one lives on this thread, linear layers on the CPU multiply row by row. Not for training.
class RowByRow {
 public:
  explicit RowByRow(bool on = true);
  ~RowByRow();
  RowByRow(const RowByRow&) = delete;
  RowByRow& operator=(const RowByRow&) = delete;
  /// Whether products of `x` are to be taken row by row now.
  static bool applies_to(const Tensor& x);

 private:
  bool before_;
};

/// x [..., in], weight [out, in] and bias [out] (may be absent), of fp32, bf16 or fp16 -> [..., out] in x's format. Sums are in
/// fp32 in an order that depends on `in` alone.
Tensor row_linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

/// at::linear, or row_linear where RowByRow applies: what every plain layer multiplies with.
Tensor product(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

/// f(x) of an element-wise `f`; row by row where RowByRow applies, because vector code and the rest of a loop may round
/// differently.
Tensor elementwise(const Tensor& x, const std::function<Tensor(const Tensor&)>& f);

/// x [..., in] fp32, weight [out, in] fp16 or bf16 -> [..., out] fp32, in fp32 arithmetic: the head of a packed model, which
/// is most of what a decoding step of a small one reads. On the CPU up to 16 rows read the weight once as it is; more take a widened
/// block at a time. Where `many_in_bf16`, more than 16 rows are rounded to bf16, and a weight in fp16 too; few are where the weight is in
/// bf16 and the processor multiplies that.
Tensor linear_16bit(const Tensor& x, const Tensor& weight, bool many_in_bf16 = false);

namespace rows {
enum class Kind { fp32, fp16, bf16 };
/// Whether multiply() may be called on this processor.
bool runs();
/// y [rows, out] fp32: columns begin to end. x [rows, in] fp32, weight [out, in] of a kind.
void multiply(Kind kind, const void* weight, const float* x, int64_t count, int64_t in, int64_t out, int64_t begin,
              int64_t end, float* y);

/// Whether the processor multiplies bf16 with bf16, and what follows may be called.
bool has_bf16_dot();
/// Whether multiply_bf16() is the fastest for hundreds of rows too: not beside AMX, whose tiles LibTorch's oneDNN uses.
bool bf16_dot_suits_many();
/// To nearest, ties to even; subnormal numbers become zero.
void round_to_bf16(const float* x, int64_t count, uint16_t* to);
/// multiply() with x in bf16 too, in half of the instructions.
void multiply_bf16(const uint16_t* weight, const uint16_t* x, int64_t count, int64_t in, int64_t out, int64_t begin,
                   int64_t end, float* y);
/// The same of a weight in fp16, which is rounded to bf16 some columns at a time: for many rows.
void multiply_fp16_in_bf16(const uint16_t* weight, const uint16_t* x, int64_t count, int64_t in, int64_t out,
                           int64_t begin, int64_t end, float* y);
}  // namespace rows

}  // namespace tessera::nn
