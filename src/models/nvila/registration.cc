// What the program may ask of this folder.
#include <iterator>

#include "models/nvila/objective.h"
#include "models/nvila/quantize.h"
#include "models/nvila/sees.h"
#include "models/registry.h"

namespace tessera::nvila {

ModelRegistration registration() {
  return {.model_types = {std::begin(model_types), std::end(model_types)},
          .load = load_seeing_model,
          .load_quantizable = load_for_packing,
          .objectives = {{.name = model_type, .make = make_nvila_objective, .complete_data = complete_nvila_data}},
          .adapters = true};
}

}  // namespace tessera::nvila
