// A recipe's `method`: a published way of training, as settings of the one training loop. The only list of their names.
#pragma once

#include <string>
#include <vector>

#include "data/sample.h"
#include "train/recipe.h"

namespace tessera::tune {

/// Completes the recipe as its `method` and `[tune]` table say; nothing when it names none. Doing it twice changes nothing more.
/// Throws UserError for an unknown method and for settings that do not go together.
void apply_method(train::Recipe& recipe);

/// What can only be refused once the data are there. Throws UserError.
void check_method(const train::Recipe& recipe, const SampleSource& source);

/// A warning about a finished run; empty when all is as the method expects.
std::string verdict_of(const train::Recipe& recipe, const Path& run_directory);

std::vector<std::string> method_names();

}  // namespace tessera::tune
