// The instruction sets behind nn/int4_kernel.h. A build for another processor links int4_no_x86.cc in their place.
#pragma once

#include "nn/int4_kernel.h"

namespace tessera::nn::int4 {

/// Inputs whose four byte rows stand together in Activations::lines.
constexpr int64_t avx512_chunk = 128, avx2_chunk = 64;

bool processor_has(Path path);
/// Columns begin to end of rows first to first + count; count is 1 to 8. For the paths that processor_has().
void multiply_avx512(const Weights& w, const Activations& x, int64_t first, int64_t count, int64_t begin, int64_t end,
                     float* y);
void multiply_avx2(const Weights& w, const Activations& x, int64_t first, int64_t count, int64_t begin, int64_t end,
                   float* y);
/// table [16]: the values of one group as bfloat16 bits; 64 packed bytes -> 128 numbers.
void look_up_avx512(const uint8_t* packed, const uint16_t* table, uint16_t* to);

}  // namespace tessera::nn::int4
