// Memory for weights that are read from end to end for every token. Pages of 2 MB let the processor fetch ahead across 4 KB and look up
// fewer addresses: SmolLM2-135M in bf16 writes 86 tokens a second from them and 62 from small ones (docs/benchmarks.md).
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace tessera {

/// A tensor on the CPU whose numbers are not set, among others in memory for which the system was asked for large pages; in ordinary memory
/// where it does not know any. Neighbours share pages, so that small tensors waste none. The memory goes back when the last of
/// its tensors does.
Tensor empty_in_large_pages(at::IntArrayRef shape, at::ScalarType type);

}  // namespace tessera
