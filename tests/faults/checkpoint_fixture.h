// Checkpoints whose bytes are a function of their step, so that a wrong, mixed or short one is noticed.
#pragma once

#include <optional>
#include <string>

#include "tensor/checkpoint.h"

namespace tessera::testing {

/// Writes the checkpoint of a step: a safetensors file, a file that is written atomically, and one in a subfolder.
void fill_checkpoint(int64_t step, const Path& folder, FileSystem& files);
void save_step(CheckpointStore& store, int64_t step);

/// The step of a checkpoint that is whole, or a sentence about what is wrong with it.
struct Examined {
  std::optional<int64_t> step;
  std::string fault;
};
Examined examine_checkpoint(const Path& folder);

}  // namespace tessera::testing
