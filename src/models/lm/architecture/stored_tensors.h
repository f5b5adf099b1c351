// What model directories hold beside the tensors that a decoder language model consists of. What must stay true: nothing that changes the
// model's numbers is left out without a word.
#pragma once

#include <vector>

#include "models/lm/architecture/config.h"
#include "tensor/weight_source.h"
#include "tensor/weights.h"

namespace tessera::lm {

/// The names without what wrappers of a training program put before or into them: "_orig_mod." (torch.compile) wherever it stands, and
/// "module." (data parallel) where every name begins with it.
WeightSource without_wrappers(const WeightSource& source);

/// Decides what the head is, as transformers 5 does for a config that ties it: a head that is stored and differs from the embedding is
/// kept, `config.tied` becomes false, and a line says so; one that equals it is left out; one that stands alone is the embedding
/// too. Models that are not tied stay as they are.
WeightSource with_settled_head(const WeightSource& source, LmConfig& config);

/// `source` without the tensors that no slot is for, which one warning names. Buffers that old programs stored and that are computed here
/// (rotary angles) are left out without a word. Throws UserError for scales of a layer whose stored weight means nothing without
/// them (8-bit numbers).
WeightSource without_strangers(const WeightSource& source, const std::vector<TensorSlot>& slots);

}  // namespace tessera::lm
