// AutoAWQ's "gemm" layout of 4-bit layers, so that others load what is written here and released AWQ checkpoints load here.
#pragma once

#include "nn/packed/int4_weight.h"

namespace tessera::nn {

/// A layer X as AWQ's files hold it: qweight [in, out / 8] int32, qzeros [in / group, out / 8] int32, scales [in /
/// group, out] fp16. Eight outputs share a word: nibble i, from the low end, is output 8c + {0, 2, 4, 6, 1, 3, 5,
/// 7}[i] of word c.
struct AwqTensors {
  Tensor qweight, qzeros, scales;
};
/// `out` must be a multiple of 8.
AwqTensors to_awq(const Int4Weight& weight);
/// Sizes must agree with each other and with the group. All cores, one pass over the words.
Int4Weight from_awq(const AwqTensors& stored, int64_t group);

}  // namespace tessera::nn
