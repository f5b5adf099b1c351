// Weights in few bits: how they lie in memory and what multiplying by them means. Finding good scales is quant/'s
// matter.
#pragma once

#include "tensor/module.h"

namespace tessera::nn {

/// Asymmetric 4-bit integers in groups along `in`: weight[o, i] = (q[o, i] - zero[o, g]) * scale[o, g], g = i / group.
struct Int4Weight {
  Tensor packed;  // [out, in / 2] uint8: input 2j in the low half of byte j, 2j + 1 in the high half
  Tensor scales;  // [out, in / group] fp32
  Tensor zeros;   // [out, in / group] uint8, 0..15
  int64_t group = 128;
};
template <class V> void tensors(V& v, Int4Weight& m) {
  v("packed", m.packed), v("scales", m.scales), v("zeros", m.zeros);
}

/// Symmetric 8-bit integers, one scale per output channel; activations are rounded per token as they come.
struct Int8Weight {
  Tensor values;  // [out, in] int8
  Tensor scales;  // [out] fp32
};
template <class V> void tensors(V& v, Int8Weight& m) { v("values", m.values), v("scales", m.scales); }

/// Two whole numbers 0 to 15 a byte, as Int4Weight::packed holds them: integers [out, in], in even -> [out, in / 2] uint8.
Tensor packed_nibbles(const Tensor& integers);
/// The way back, uint8.
Tensor unpacked_nibbles(const Tensor& packed);
/// [out, in] fp32, the plain meaning of the packed weight.
Tensor unpacked(const Int4Weight& weight);
Tensor unpacked(const Int8Weight& weight);

/// x [..., in] -> [..., out] in the format of x. On the CPU without gradients: few rows go through the kernel of
/// nn/kernels/int4_kernel.h; many are multiplied in bfloat16 where the processor multiplies matrices of it (the weights are
/// off by far more than its rounding), otherwise in fp32, a block of unpacked weights at a time.
Tensor linear(const Tensor& x, const Int4Weight& weight);
/// x [..., in] -> [..., out] in the format of x. Each row of x is rounded to 8-bit integers, its largest magnitude
/// being 127; the integer products are exact.
Tensor linear(const Tensor& x, const Int8Weight& weight);

}  // namespace tessera::nn
