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
struct TrainedFrom {
  Path tokenizer;             // directory whose files are copied
  std::string base;           // model that training started from; empty: a new one
  std::string chat_template;  // in place of the tokenizer's own; empty: that one
  StoredAs stored = StoredAs::f16;
};
void save_trained(const DecoderLm& model, const text::Tokenizer& tokenizer, const TrainedFrom& from,
                  const Path& directory, FileSystem& files);

/// The model that a table names as its start, in memory that may be written into, with the table's adapters merged.
DecoderLm start_of(const LmModelTable& table, at::Device device);

}  // namespace tessera::lm
