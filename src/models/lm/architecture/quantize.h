// A decoder language model as packing wants it.
#pragma once

#include <memory>

#include "models/lm/architecture/module.h"
#include "models/quantizable.h"
#include "tensor/model_dir.h"
#include "text/tokenizer.h"

namespace tessera::lm {

/// The linear layers of all blocks, grouped by what they read: queries, keys and values; attention's output; gate and
/// up; down; those of a gated DeltaNet likewise. The head stays as it is. `prefix` stands before the names in reports.
std::vector<quant::SharedInput> shared_inputs(DecoderLm& model, const std::string& prefix = "");

/// Names, or parts of names, of linear layers that packing leaves alone.
std::vector<std::string> unpacked_layers(const LmConfig& config);

/// Runs `model` over texts, in rows of `data.length` tokens; without texts over what it draws itself at temperature 1.
int64_t calibrate(const DecoderLm& model, const text::Tokenizer& tokenizer, const CalibrationData& data);

/// Loads a directory for packing. Throws UserError for one that is packed already.
std::unique_ptr<Quantizable> load_for_packing(const ModelDirectory& directory, at::Device device);

}  // namespace tessera::lm
