// What the program may ask of this folder.
#include "models/lm/architecture/config.h"
#include "models/lm/architecture/quantize.h"
#include "models/lm/text/writes.h"
#include "models/lm/training/objective.h"
#include "models/registry.h"

namespace tessera::lm {

ModelRegistration registration() {
  return {.model_types = supported_families(),
          .load = load_lm_model,
          .load_quantizable = load_for_packing,
          .objectives = {{.name = "lm", .make = make_lm_objective}}};
}

}  // namespace tessera::lm
