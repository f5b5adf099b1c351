// Where there are no x86 instructions the portable path is the only one.
#include "nn/kernels/blocks/block_product.h"

namespace tessera::nn::blocks {

bool processor_has(Path path) { return path == Path::portable; }
void group_avx2(BlockType, const Group&, const Activations&, std::vector<Activations::Line>&) {}
void group_avx512(BlockType, const Group&, const Activations&, std::vector<Activations::Line>&) {}

int32_t write_whole_avx512(const float*, int64_t, float, bool, int8_t*) { return 0; }
int32_t peak_bits_avx512(const float*, int64_t) { return 0; }

}  // namespace tessera::nn::blocks
