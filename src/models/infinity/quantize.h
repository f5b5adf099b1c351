// An Infinity model as packing wants it: `tessera quantize`.
#pragma once

#include <memory>

#include "models/infinity/model_files.h"
#include "models/quantizable.h"

namespace tessera::infinity {

/// The matrices of all blocks, grouped by what they read. Before cross attention's queries stands a norm that can take scales; what AdaLN,
/// attention and GELU give has none, so those are only narrowed.
std::vector<quant::SharedInput> shared_inputs(Infinity& model);

/// `bundle`: fp32 weights that may be written into. It is calibrated by drawing: the texts' lines are prompts, without them a few of its own, at
/// the smallest published area where the model has no scales of its own.
std::unique_ptr<Quantizable> quantizable(Bundle bundle);

}  // namespace tessera::infinity
