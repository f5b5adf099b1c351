// Adapters in the PEFT format: adapter_config.json and adapter_model.safetensors, so that other tools load ours and we theirs.
#pragma once

#include <string>
#include <vector>

#include "core/files.h"
#include "nn/layers/adapters.h"

namespace tessera::nn {

/// Writes the adapters of `linears` into `directory`; those without one say which layers were left out. `base_model` is where the
/// base comes from, as a reader of the config may want to know. Throws UserError when no layer has an adapter.
void save_adapters(const std::vector<NamedLinear>& linears, const Path& directory, const std::string& base_model = "",
                   FileSystem& files = disk());

/// Attaches the adapters of a PEFT directory. Understands LoRA with and without rsLoRA and with ranks and alphas per layer; dropout
/// is left out, since it acts in training alone. Throws UserError for another kind of adapter, for a layer that the model lacks or
/// that has an adapter already, and for shapes that do not fit; the model is then as it was.
void load_adapters(const std::vector<NamedLinear>& linears, const Path& directory);

}  // namespace tessera::nn
