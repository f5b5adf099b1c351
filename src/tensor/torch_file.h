// Weights that PyTorch saved: .pth, .pt, .bin; a zip archive with a pickle that describes tensors and a member for the numbers of each storage
// (torch/serialization.py, torch/_utils.py). The pickle is read as data and nothing is run (tensor/pickle.h).
#pragma once

#include <string_view>

#include "tensor/weight_source.h"

namespace tessera {

/// Whether it is such an archive, or a pickle by itself, which older programs wrote and read_torch() refuses by name.
bool is_torch(std::string_view bytes);

/// The tensors of all dicts and lists, under the keys that lead to them joined by dots ("trainer.gpt_fsdp.pos_start"). Numbers are views of
/// `bytes`, but copies where a tensor's strides leave gaps or another order. Plain values at the top become metadata. Throws UserError
/// for globals and types of storages that weights do not need, storages whose member is missing or of another size than is told, tensors
/// that leave their storage or repeat its numbers, big-endian files, TorchScript programs, and files from before PyTorch 1.6.
StoredFile read_torch(std::string_view bytes, std::string_view source);

}  // namespace tessera
