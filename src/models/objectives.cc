// One line per objective.
#include "models/objectives.h"

#include <map>

#include "codec/objective.h"
#include "core/error.h"
#include "models/infinity/objective.h"
#include "models/lm/training/objective.h"
#include "models/nvila/objective.h"

namespace tessera::models {

namespace {
using Factory = std::unique_ptr<train::Objective> (*)(train::Recipe&, const SampleSource&, at::Device);

const std::map<std::string, Factory>& factories() {
  static const std::map<std::string, Factory> table = {
      {"codec", codec::make_codec_objective},
      {"infinity", infinity::make_infinity_objective},
      {"lm", lm::make_lm_objective},
      {"nvila", nvila::make_nvila_objective},
  };
  return table;
}
}  // namespace

std::unique_ptr<train::Objective> make_objective(train::Recipe& recipe, const SampleSource& source, at::Device device) {
  const auto found = factories().find(recipe.objective);
  if (found == factories().end()) {
    throw UserError("[recipe] unknown objective '{}'; did you mean '{}'?", recipe.objective,
                    nearest_word(recipe.objective, objective_names()));
  }
  return found->second(recipe, source, device);
}

void complete_data(train::Recipe& recipe) {
  if (recipe.objective == "nvila") nvila::complete_nvila_data(recipe);
}

std::vector<std::string> objective_names() {
  std::vector<std::string> names;
  for (const auto& [name, factory] : factories()) names.push_back(name);
  return names;
}

}  // namespace tessera::models
