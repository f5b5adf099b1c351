// What a training run starts from and leaves behind: a new model by family, a complete model directory.
#pragma once

#include "models/lm/architecture/module.h"
#include "models/lm/training/objective.h"
#include "tensor/weights.h"

namespace tessera::lm {

/// "f16", "bf16" or "f32". Throws UserError.
StoredAs stored_as(std::string_view name);

/// A model of the table's shape with fresh weights. Throws UserError for a shape that makes no model.
DecoderLm new_model(const LmModelTable& table, int64_t vocabulary, uint64_t seed, at::Device device);

/// Writes config.json, generation_config.json, model.safetensors, README.md and the tokenizer's files. Adapters are saved beside, in
/// adapter/ (PEFT), and are part of the weights, which any reader can use.
void save_trained(const DecoderLm& model, const text::Tokenizer& tokenizer, const Path& tokenizer_directory,
                  StoredAs stored, const Path& directory, FileSystem& files);

}  // namespace tessera::lm
