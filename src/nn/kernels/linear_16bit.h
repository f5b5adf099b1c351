// Products of fp32 activations with a weight that stays in 16 bits: the head of a packed model, which is most of what
// a decoding step of a small one reads.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace tessera::nn {

/// x [..., in] fp32, weight [out, in] fp16 or bf16 -> [..., out] fp32, in fp32 arithmetic: numbers are widened on
/// their way. On the CPU few rows read the weight once as it is; many take a block of it at a time.
Tensor linear_16bit(const Tensor& x, const Tensor& weight);

namespace weights16 {
enum class Kind { fp16, bf16 };
/// Whether multiply() may be called on this processor.
bool runs();
/// y [rows, out] fp32: columns begin to end. x [rows, in] fp32, weight [out, in] in 16 bits.
void multiply(Kind kind, const uint16_t* weight, const float* x, int64_t rows, int64_t in, int64_t out, int64_t begin,
              int64_t end, float* y);
}  // namespace weights16

}  // namespace tessera::nn
