// Options of `tessera eval`.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

struct EvalOptions {
  std::filesystem::path model;
  std::string task;
  int64_t count = 200;
  std::vector<double> cfg, tau;
  std::optional<double> top_p;
  int64_t batch = 16;
  std::string split = "train";
  std::string atlas;
  std::filesystem::path missed;
  OutputOptions output;
  ComputeOptions compute;

  static CommandLine command_line() {
    return {.verb = "eval",
            .summary = "measure a model: sprite-retrieval, scenes or codec",
            .required = {"model", "task"},
            .short_names = {{"model", 'm'}, {"count", 'n'}},
            .examples = {"tessera eval -m models/emoji-infinity --task sprite-retrieval --count 200 --seed 1 --json",
                         "tessera eval -m models/emoji-infinity --task codec --count 0"}};
  }
};
template <class V> void fields(V& v, EvalOptions& o) {
  v("model", o.model, "model directory"), v("task", o.task, "sprite-retrieval, scenes or codec");
  v("count", o.count, "pictures to measure on; 0 takes every name"), v("batch", o.batch, "pictures drawn at once");
  v("cfg", o.cfg, "guidance, one number or one per scale (default: the model's)");
  v("tau", o.tau, "temperature, one number or one per scale (default: the model's)");
  v("top_p", o.top_p, "drop bit values less likely than 1 - top-p (default: the model's)");
  v("split", o.split, "train: names the model was trained on; heldout: the others");
  v("atlas", o.atlas, "take sprites from this atlas instead of the system's font");
  v("missed", o.missed, "write the names that were not retrieved to this file");
  v("output", o.output, "Output"), v("compute", o.compute, "Compute");
}

/// Prints a table, with --json one object: task, count, seed and the task's numbers (top1, top5, psnr, score, ...).
int run_eval(const EvalOptions& options);

}  // namespace tessera::apps
