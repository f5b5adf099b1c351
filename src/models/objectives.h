// What a recipe's `objective` may name. Each objective's own folder reads its `[model]` and `[loss]` tables.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "train/objective.h"
#include "train/recipe.h"

namespace tessera::models {

/// Completes the recipe's `[data]` for what its objective measures, before the source is made. Does nothing for an unknown name.
void complete_data(train::Recipe& recipe);

/// Builds the objective that `recipe` names, with weights initialised from recipe.train.seed, and writes its full
/// `model` and `loss` tables back into the recipe. Throws UserError for an unknown name (naming the nearest) or key.
std::unique_ptr<train::Objective> make_objective(train::Recipe& recipe, const SampleSource& source, at::Device device);

/// The names a recipe may use.
std::vector<std::string> objective_names();

}  // namespace tessera::models
