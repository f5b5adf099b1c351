// Where tensors live and how many threads work on them.
#pragma once

#include <string_view>

#include <c10/core/Device.h>

namespace tessera {

/// "cpu", "cuda", "cuda:1", or "auto" (CUDA when there is a card). Throws UserError for another word or an absent card.
at::Device parse_device(std::string_view name);
/// 0 leaves LibTorch's own choice (one thread per core).
void set_threads(int threads);

}  // namespace tessera
