// Running a recipe from its text to a trained model: source, objective, method and the training loop. The verb, pipelines and tests all
// run recipes by this one function, as often as they like in one process.
#pragma once

#include <string>

#include "train/loop.h"
#include "train/parallel.h"
#include "train/recipe.h"

namespace tessera::tune {

struct RunRecipeOptions {
  bool resume = false;     // go on with the run that recipe.out holds
  train::PeerSetup peers;  // who this process is among those of the run
  at::Device device = at::kCPU;
};

/// How a recipe's run ended.
struct RecipeResult {
  train::TrainResult training;
  Path model;           // the trained model's directory; of what was learnt so far where training.interrupted
  std::string verdict;  // what a person should know of a finished run; empty when all is as its method expects
};

/// Throws UserError when `directory` holds no run to go on with; a run's model is pointed to its run.
void require_run(const Path& directory);

/// Runs `recipe` in the directory recipe.out, which then holds recipe.toml as resolved. A Ctrl-C ends it after a checkpoint.
/// Throws UserError for a recipe that cannot be run, a directory that another process runs in, one that already holds a run when a new one is
/// to begin, one that holds none when a run is to go on, and data that are of another edition than those a resumed run began with;
/// FaultError as train::train does. What is refused leaves the run as it was.
RecipeResult run_recipe(train::Recipe recipe, const RunRecipeOptions& options = {});

}  // namespace tessera::tune
