// PEFT adapters on a decoder language model: its linear layers, also those that files fuse, its embedding and its head. What must
// stay true: the logits are those that the PEFT library gives.
#pragma once

#include <vector>

#include "core/files.h"
#include "models/lm/architecture/module.h"

namespace tessera::lm {

/// Adds the adapters of PEFT directories, in order; their products add up. A head that is tied to the embedding becomes a head of its
/// own where only one of the two is changed. Throws UserError as nn::read_adapter() does, and for what does not fit the model.
void add_adapters(DecoderLm& model, const std::vector<Path>& directories);

/// The same as part of the weights; packed layers that have an adapter are unpacked.
void merge_adapters_into(DecoderLm& model, const std::vector<Path>& directories);

}  // namespace tessera::lm
