// Without x86 instructions 16-bit weights are widened block by block.
#include "nn/half_linear.h"

namespace tessera::nn::half {

bool runs() { return false; }
void multiply(Kind, const uint16_t*, const float*, int64_t, int64_t, int64_t, int64_t, int64_t, float*) {}

}  // namespace tessera::nn::half
