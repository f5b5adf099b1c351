// Options of `tessera train`.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

struct TrainOptions {
  std::filesystem::path recipe;
  std::vector<std::string> set;
  std::filesystem::path out;
  std::filesystem::path resume;
  OutputOptions output;
  std::string device = "auto";
  int threads = 0;

  static CommandLine command_line() {
    return {.verb = "train",
            .summary = "train a model from a recipe, or continue a run",
            .positionals = {"recipe"},
            .short_names = {{"out", 'o'}, {"set", 's'}},
            .examples = {"tessera train recipes/emoji-codec.toml",
                         "tessera train recipes/emoji-codec.toml --set train.steps=200 --out runs/try",
                         "tessera train --resume runs/emoji-codec"}};
  }
};
template <class V> void fields(V& v, TrainOptions& o) {
  v("recipe", o.recipe, "TOML file with objective, model, data and settings");
  v("set", o.set, "changes the recipe, as in train.steps=200");
  v("out", o.out, "run directory, instead of the recipe's");
  v("resume", o.resume, "run directory to continue from its last checkpoint");
  v("output", o.output, "Output");
  v("device", o.device, "auto, cpu, cuda or cuda:N");
  v("threads", o.threads, "threads on the CPU; 0 takes one per core");
}

/// Runs the recipe and prints where the model is. Returns 130 when Ctrl-C stopped it (after a checkpoint).
int run_train(const TrainOptions& options);

}  // namespace tessera::apps
