// What the program may ask of this folder.
#include <algorithm>
#include <iterator>

#include "models/lm/architecture/config.h"
#include "models/lm/architecture/gguf_model.h"
#include "models/lm/architecture/language_part.h"
#include "models/lm/architecture/quantize.h"
#include "models/lm/text/convert.h"
#include "models/lm/text/writes.h"
#include "models/lm/training/objective.h"
#include "models/lm/training/on_policy.h"
#include "models/lm/training/preference.h"
#include "models/registry.h"

namespace tessera::lm {

ModelRegistration registration() {
  std::vector<std::string> types = supported_families();
  std::ranges::copy(composite_model_types(), std::back_inserter(types));
  std::ranges::copy(gguf_model_types(), std::back_inserter(types));
  return {
      .model_types = std::move(types),
      .load = load_lm_model,
      .load_quantizable = load_for_packing,
      .convert = convert_lm,
      .objectives = {{.name = "lm", .make = make_lm_objective, .check_tables = check_lm_tables},
                     {.name = "preference", .make = make_preference_objective, .check_tables = check_preference_tables},
                     {.name = "grpo", .make = make_grpo_objective, .check_tables = check_on_policy_tables},
                     {.name = "distill", .make = make_distill_objective, .check_tables = check_on_policy_tables}},
      .adapters = true};
}

}  // namespace tessera::lm
