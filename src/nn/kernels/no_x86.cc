// Where there are no x86 instructions the portable paths are the only ones.
#include "nn/kernels/int4_kernel.h"
#include "nn/kernels/row_linear.h"

namespace tessera::nn::int4 {

bool processor_has(Path path) { return path == Path::portable; }
bool multiplies_bfloat16() { return false; }
void multiply_avx512(const Weights&, const Activations&, int64_t, int64_t, int64_t, int64_t, float*) {}
void multiply_avx2(const Weights&, const Activations&, int64_t, int64_t, int64_t, int64_t, float*) {}
void look_up_avx512(const uint8_t*, const uint16_t*, uint16_t*) {}

}  // namespace tessera::nn::int4

namespace tessera::nn::rows {

bool has_bf16_dot() { return false; }
bool bf16_dot_suits_many() { return false; }
void round_to_bf16(const float*, int64_t, uint16_t*) {}
void multiply_bf16(const uint16_t*, const uint16_t*, int64_t, int64_t, int64_t, int64_t, int64_t, float*) {}
void multiply_fp16_in_bf16(const uint16_t*, const uint16_t*, int64_t, int64_t, int64_t, int64_t, int64_t, float*) {}

}  // namespace tessera::nn::rows
