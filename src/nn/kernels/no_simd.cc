// Built without Highway: LibTorch multiplies, one row at a time or blocks of widened weights.
#include "nn/kernels/row_linear.h"

namespace tessera::nn::rows {

bool runs() { return false; }
void multiply(Kind, const void*, const float*, int64_t, int64_t, int64_t, int64_t, int64_t, float*) {}

}  // namespace tessera::nn::rows
