// Parameter counts from headers; see ladder_row.h.
#include "eval/ladder_row.h"
#include "tensor/weight_source.h"

namespace tessera::eval {

std::optional<int64_t> non_embedding_parameters(const Path& directory) {
  const WeightSource stored(directory);
  int64_t count = 0;
  for (const auto& [name, tensor] : stored.tensors()) {
    const Dtype dtype = tensor.dtype;
    if (dtype != Dtype::f64 && dtype != Dtype::f32 && dtype != Dtype::f16 && dtype != Dtype::bf16) return std::nullopt;
    bool embedding = name == "token_embd.weight" || name == "output.weight";  // what GGUF files call them
    for (const char* part : {"embed_tokens", "lm_head", "position_embedding"}) {
      embedding = embedding || name.find(part) != std::string::npos;
    }
    if (!embedding) count += scalar_count(tensor.shape);
  }
  return count;
}

}  // namespace tessera::eval
