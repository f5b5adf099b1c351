// Built without Highway: products with 16-bit weights widen blocks of them for LibTorch instead.
#include "nn/kernels/linear_16bit.h"

namespace tessera::nn::weights16 {

bool runs() { return false; }
void multiply(Kind, const uint16_t*, const float*, int64_t, int64_t, int64_t, int64_t, int64_t, float*) {}

}  // namespace tessera::nn::weights16
