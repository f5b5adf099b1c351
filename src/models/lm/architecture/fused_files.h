// Files that hold a block's q, k and v in one tensor, and its gate and up in another (Phi-3). The model has them apart.
#pragma once

#include <vector>

#include "models/lm/architecture/config.h"
#include "tensor/module.h"
#include "tensor/weight_source.h"

namespace tessera::lm {

/// A layer that files may hold as rows of a larger one.
struct FusedPart {
  const char* name;    // "self_attn.k_proj"
  const char* whole;   // "self_attn.qkv_proj"
  int64_t begin, end;  // rows of the whole
};
/// The parts of each whole, in the order of their rows.
std::vector<FusedPart> fused_parts(const LmConfig& config);

/// The same weights under the names of the parts: views of rows, plain or in packed blocks. Parts that are stored apart stay as they
/// are. Throws UserError for a fused tensor with another number of rows.
WeightSource parted(const WeightSource& source, const LmConfig& config);

/// A model's tensors as such files hold them.
std::vector<NamedTensor> joined_parts(const std::vector<NamedTensor>& tensors, const LmConfig& config);

}  // namespace tessera::lm
