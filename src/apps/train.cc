// `tessera train`: recipe -> source and objective -> the training loop.
#include "apps/train.h"

#include <cstdlib>

#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/source.h"
#include "models/objectives.h"
#include "tensor/device.h"
#include "train/loop.h"
#include "train/parallel.h"
#include "train/recipe.h"
#include "tune/method.h"

namespace tessera::apps {

namespace {
constexpr int interrupted_status = 130;  // as shells count a SIGINT

/// The recipe as the options ask for it: a new run's file, or the one that a run directory keeps.
train::Recipe chosen_recipe(const TrainOptions& options) {
  if (options.recipe.empty() == options.resume.empty()) {
    throw UserError(
        "[train] want a recipe, as in 'tessera train recipes/emoji-codec.toml', or --resume RUN (and not both)");
  }
  const bool resuming = !options.resume.empty();
  train::Recipe recipe = train::read_recipe(resuming ? options.resume / "recipe.toml" : options.recipe, options.set);
  if (resuming) recipe.out = options.resume.string();
  if (!options.out.empty()) recipe.out = options.out.string();
  if (recipe.out.empty()) throw UserError("[train] no run directory; give --out DIR or 'out' in the recipe");
  return recipe;
}

/// Of several processes on one machine each takes a card of its own.
at::Device device_of(const train::PeerSetup& setup, const std::string& name) {
  const at::Device device = parse_device(name);
  if (setup.count == 1 || !device.is_cuda() || device.has_index()) return device;
  return parse_device(fmt::format("cuda:{}", setup.local_rank));
}
}  // namespace

int run_train(const TrainOptions& options) {
  set_threads(options.threads);
  const train::PeerSetup setup = train::peer_setup([](const char* name) { return std::getenv(name); });
  const at::Device device = device_of(setup, options.device);
  train::Recipe recipe = chosen_recipe(options);
  tune::apply_method(recipe);
  train::validate(recipe.train);
  const auto peers = train::join_peers(setup, device, recipe.train.peer_timeout);
  if (!peers->leads()) set_log_level(LogLevel::warning), set_progress_enabled(false);
  const Path out = recipe.out;
  const bool resuming = !options.resume.empty();
  if (peers->leads() && !resuming && std::filesystem::exists(out / "metrics.jsonl")) {
    throw UserError("[train] {} already holds a run; go on with it by --resume {}, or choose another --out",
                    out.string(), out.string());
  }
  if (peers->leads()) require_writable(out / "recipe.toml", "train");
  const auto source = data::make_source(recipe.data);
  if (resuming && !recipe.edition.empty() && recipe.edition != source->edition()) {
    throw UserError(
        "[train] the run's data were '{}', this machine has '{}'; pack an atlas where the run began (tessera data "
        "emoji --pack)",
        recipe.edition, source->edition());
  }
  recipe.edition = source->edition();
  tune::check_method(recipe, *source);
  const auto objective = models::make_objective(recipe, *source, device);
  if (peers->leads()) write_file_atomically(out / "recipe.toml", train::to_text(recipe));

  const train::TrainResult result =
      train::train(*objective, *source, recipe.train,
                   {.directory = out, .resume = resuming, .device = device, .peers = peers.get()});
  if (!peers->leads()) return result.interrupted ? interrupted_status : 0;
  if (result.interrupted) {
    log_info("stopped at step {} of {}; go on with: tessera train --resume {}", result.steps, recipe.train.steps,
             out.string());
  } else {
    write_file_atomically(out / "model" / "recipe.toml", train::to_text(recipe));  // a model says what it was made of
    log_info("trained {} steps; the model is in {}", result.steps, (out / "model").string());
    if (const std::string verdict = tune::verdict_of(recipe, out); !verdict.empty()) log_warning("{}", verdict);
  }
  if (options.output.json) {
    Json line = {{"steps", result.steps},
                 {"interrupted", result.interrupted},
                 {"seconds", result.seconds},
                 {"model", (out / "model").string()}};
    for (const auto& [name, value] : result.metrics) line[name] = value;
    print_json(line);
  }
  return result.interrupted ? interrupted_status : 0;
}

}  // namespace tessera::apps
