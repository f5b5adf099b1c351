// Adapters in the PEFT format: adapter_config.json and adapter_model.safetensors, so that other tools load ours and we theirs. What must
// stay true: an adapter has the numbers that the PEFT library gives it, or is refused by the name of what is not supported.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/files.h"
#include "nn/layers/adapters.h"

namespace tessera::nn {

/// Writes the adapters of `linears` into `directory`; those without one say which layers were left out. `base_model` is where the
/// base comes from, as a reader of the config may want to know. Throws UserError when no layer has an adapter.
void save_adapters(const std::vector<NamedLinear>& linears, const Path& directory, const std::string& base_model = "",
                   FileSystem& files = disk());

/// What adapts one layer: y += scale B A x; with a magnitude (DoRA) the rows of W + scale B A get these lengths.
struct LoraParts {
  Tensor a, b;       // [rank, in], [out, rank]; of an embedding [rank, rows], [width, rank]
  Tensor magnitude;  // [out]; absent without DoRA
  double scale = 1;
};

/// Rows of an embedding that were trained alone.
struct TrainedRows {
  std::vector<int64_t> indices;
  Tensor rows;  // [indices, width]
};

/// What a PEFT directory holds, by the names of the model's layers.
struct PeftAdapter {
  Path file;                                    // of its weights, for messages
  std::map<std::string, LoraParts> linears;     // by layer
  std::map<std::string, LoraParts> embeddings;  // by embedding
  std::map<std::string, Tensor> saved;          // tensors that replace the model's (modules_to_save, biases), by tensor
  std::map<std::string, TrainedRows> rows;      // by embedding
};

/// Reads LoRA with rsLoRA, DoRA, patterns of ranks and alphas, modules_to_save, biases and trained rows of embeddings. Dropout is left out,
/// since it acts in training alone; so is fan_in_fan_out, which PEFT passes over for linear layers. Throws UserError for another kind
/// of adapter, for a start that changed the base beside the adapter (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA), for what else is not
/// supported, and for tensors that belong together but are not there.
PeftAdapter read_adapter(const Path& directory);

/// Throws UserError when there is no such layer or when the parts do not fit it.
void require_fit(const LoraParts& parts, const std::string& name, const Linear* linear, const Path& file);
/// Adds an adapter to a layer, beside one that it may have already (their products add up). DoRA changes the weight itself and stands
/// alone. Throws UserError for a layer with an adapter when DoRA is to be added.
void add_adapter(Linear& linear, const LoraParts& parts, const std::string& name, const Path& file);

/// Attaches the adapters of a PEFT directory to linear layers. Throws UserError as read_adapter() does, for a layer that the model lacks, for
/// shapes that do not fit, and for what is more than linear layers; the model is then as it was.
void load_adapters(const std::vector<NamedLinear>& linears, const Path& directory);

}  // namespace tessera::nn
