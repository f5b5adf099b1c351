// What is the caller's mistake is refused before anything is written.
#include "tune/run_recipe.h"

#include "core/error.h"
#include "core/file_lock.h"
#include "core/model_cache.h"
#include "data/source.h"
#include "models/registry.h"
#include "tune/method.h"

namespace tessera::tune {

namespace {
/// A recipe may begin with a model of the hub by its name; the run's own recipe names the folder.
void find_models(train::Recipe& recipe) {
  const std::string from = train::starting_model(recipe);
  if (!from.empty()) recipe.model["from"] = find_model(from).string();
}

void require_new_run(const Path& out) {
  if (std::filesystem::exists(out / "metrics.jsonl")) {
    throw UserError("[train] {} already holds a run; go on with it by --resume {}, or choose another --out",
                    out.string(), out.string());
  }
}

/// Held by the process that writes the run.
std::unique_ptr<FileLock> lock_of(const Path& run) {
  return std::make_unique<FileLock>(run / "running", "train", run.string());
}

void require_same_edition(const std::string& begun_with, const std::string& here) {
  if (begun_with.empty() || begun_with == here) return;
  throw UserError(
      "[train] the run's data were '{}', here they are '{}'; begin another run, or, where the fonts differ, pack an "
      "atlas "
      "where the run began (tessera data emoji --pack)",
      begun_with, here);
}
}  // namespace

void require_run(const Path& directory) {
  const auto holds_run = [](const Path& each) { return std::filesystem::exists(each / "metrics.jsonl"); };
  if (holds_run(directory)) return;
  const Path parent = std::filesystem::absolute(directory).lexically_normal().parent_path();
  const bool inside = std::filesystem::exists(directory / "recipe.toml") && holds_run(parent);
  if (inside)
    throw UserError("[train] {} is a model that a run has made; the run is {}", directory.string(), parent.string());
  throw UserError("[train] {} holds no run to go on with; want a directory with metrics.jsonl, as --out made it",
                  directory.string());
}

RecipeResult run_recipe(train::Recipe recipe, const RunRecipeOptions& options) {
  find_models(recipe);
  if (recipe.out.empty()) throw UserError("[train] no run directory; give --out DIR or 'out' in the recipe");
  const Path out = recipe.out;
  apply_method(recipe);
  train::validate(recipe.train);
  const auto peers = train::join_peers(options.peers, options.device, recipe.train.peer_timeout);
  if (options.resume) require_run(out);
  std::unique_ptr<FileLock> lock;
  if (peers->leads()) {
    if (!options.resume) require_new_run(out);
    require_writable(out / "recipe.toml", "train");
    lock = lock_of(out);
  }
  if (!options.resume) models::complete_data(recipe);
  const auto source = data::make_source(recipe.data);
  if (options.resume) require_same_edition(recipe.edition, source->edition());
  recipe.edition = source->edition();
  check_method(recipe, *source);
  const auto objective = models::make_objective(recipe, *source, options.device);
  const std::string text = train::to_text(recipe);
  RecipeResult result{.model = out / "model"};
  result.training = train::train(
      *objective, *source, recipe.train,
      {.directory = out, .resume = options.resume, .device = options.device, .peers = peers.get(), .begun = [&] {
         write_file_atomically(out / "recipe.toml", text);
       }});
  if (!peers->leads()) return result;
  const Path kept = result.model / "recipe.toml";  // a model says what it was made of
  if (result.training.trained || !std::filesystem::exists(kept)) write_file_atomically(kept, text);
  if (result.training.interrupted) return result;
  result.verdict = verdict_of(recipe, out);
  return result;
}

}  // namespace tessera::tune
