// `tessera train`: which recipe, on which device; and how its run ended, in words.
#include "apps/train.h"

#include <algorithm>
#include <cstdlib>

#include "core/counted.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/progress.h"
#include "tensor/device.h"
#include "train/parallel.h"
#include "train/recipe.h"
#include "tune/run_recipe.h"

namespace tessera::apps {

namespace {

/// The recipe as the options ask for it: a new run's file, or the one that a run directory keeps.
train::Recipe chosen_recipe(const TrainOptions& options) {
  if (options.recipe.empty() == options.resume.empty()) {
    throw UserError(
        "[train] want a recipe, as in 'tessera train recipes/emoji-codec.toml', or --resume RUN (and not both)");
  }
  const bool resuming = !options.resume.empty();
  if (resuming) {
    const bool elsewhere = !options.out.empty() || std::ranges::any_of(options.set, [](const std::string& each) {
      return each.starts_with("out=") || each.starts_with("out =");
    });
    if (elsewhere) throw UserError("[train] --resume RUN goes on in RUN; --out and --set out=... are for a new run");
    tune::require_run(options.resume);
  }
  train::Recipe recipe = train::read_recipe(resuming ? options.resume / "recipe.toml" : options.recipe, options.set);
  if (resuming) recipe.out = options.resume.string();
  if (!options.out.empty()) recipe.out = options.out.string();
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
  const train::PeerSetup peers = train::peer_setup([](const char* name) { return std::getenv(name); });
  const bool leads = peers.rank == 0;
  if (!leads) {
    set_log_level(LogLevel::warning);
    set_progress_enabled(false);
  }
  const train::Recipe recipe = chosen_recipe(options);
  const auto [training, model, verdict] = tune::run_recipe(
      recipe, {.resume = !options.resume.empty(), .peers = peers, .device = device_of(peers, options.device)});
  const int status = training.interrupted ? interrupted_status : 0;
  if (!leads) return status;
  if (training.interrupted) {
    log_info("stopped at step {}; the model so far is in {}; go on with: tessera train --resume {}", training.steps,
             model.string(), recipe.out);
  } else {
    log_info("trained {}; the model is in {}", counted(training.steps, "step"), model.string());
    if (!verdict.empty()) log_warning("{}", verdict);
  }
  if (options.output.json) {
    Json line = {{"steps", training.steps},
                 {"interrupted", training.interrupted},
                 {"seconds", training.seconds},
                 {"model", model.string()}};
    for (const auto& [name, value] : training.metrics) line[name] = value;
    print_json(line);
  }
  return status;
}

}  // namespace tessera::apps
