// Model directories with packed weights: what the source directory holds, with other weights and a config that says so.
#pragma once

#include <vector>

#include "core/files.h"
#include "core/json.h"
#include "tensor/module.h"

namespace tessera::quant {

/// Floating-point tensors as fp16, but bf16 where a number would not fit, and fp32 scales of 8-bit layers as they
/// are. Integers stay.
std::vector<NamedTensor> stored_in_halves(const std::vector<NamedTensor>& tensors);

/// Writes `out`: tokenizer, cards and other small files of `source` as they are, `tensors` as model.safetensors, and
/// `config` as config.json, last, so that a directory that is whole has it. Throws FaultError when the disk fails.
void write_packed_directory(const Path& source, const Path& out, const std::vector<NamedTensor>& tensors,
                            const Json& config, FileSystem& files = disk());

}  // namespace tessera::quant
