// Linear layers that multiply in 8-bit floating point: activations and weights in E4M3, gradients of outputs in E5M2, one scale per
// tensor, taken from its largest number each time (as NVILA trains, arXiv 2412.04468).
#pragma once

#include "tensor/tensor.h"

namespace tessera::nn {

/// A tensor in 8 bits: value = number * scale.
struct Fp8 {
  Tensor numbers;  // any shape, Float8_e4m3fn or Float8_e5m2
  Tensor scale;    // [] fp32
};
/// `t` with its largest magnitude at the format's largest number (448 for E4M3, 57344 for E5M2); scale 1 when all are zero.
Fp8 rounded_to_e4m3(const Tensor& t);
Fp8 rounded_to_e5m2(const Tensor& t);

/// x [..., in], weight [out, in] -> [..., out] in x's format. Both factors are rounded to E4M3; in the backward pass dL/dy is rounded to
/// E5M2 and multiplied by the rounded weight and the rounded x. The backward pass keeps x in 8 bits. Where the device multiplies 8-bit
/// numbers itself (CUDA from compute capability 8.9, layers whose sides are multiples of 16) it does so; elsewhere the rounded numbers are
/// multiplied in fp32, which gives the same up to the order of sums.
Tensor fp8_linear(const Tensor& x, const Tensor& weight);

}  // namespace tessera::nn
