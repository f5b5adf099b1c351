// What the program may ask of this folder.
#include "models/infinity/draw.h"
#include "models/infinity/objective.h"
#include "models/registry.h"

namespace tessera::infinity {

ModelRegistration registration() {
  return {
      .model_types = {model_type},
      .load = [](const ModelDirectory& directory, at::Device device, const LoadOptions&)
          -> std::unique_ptr<LoadedModel> { return std::make_unique<DrawingInfinity>(load_model(directory, device)); },
      .objectives = {{.name = model_type, .make = make_infinity_objective, .whole_samples = {{"drop_prompt", 0.0}}}}};
}

}  // namespace tessera::infinity
