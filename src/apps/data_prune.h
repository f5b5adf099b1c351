// Options of `tessera data prune`.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

struct DataPruneOptions {
  std::filesystem::path data;
  std::filesystem::path recipe;
  int64_t samples = 0;
  std::filesystem::path large;
  std::filesystem::path small;
  double keep = 0.5;
  bool per_token = false;
  std::filesystem::path out;
  std::filesystem::path scores;
  OutputOptions output;
  std::string device = "auto";
  int threads = 0;

  static CommandLine command_line() {
    return {.verb = "data prune",
            .summary = "keep the conversations that teach: more likely under a large model than under a small one",
            .required = {"large", "small", "out"},
            .models = {"large", "small"},
            .short_names = {{"out", 'o'}},
            .examples = {"tessera data prune --data chat.jsonl --large runs/large/model --small runs/small/model "
                         "--keep 0.5 -o kept.jsonl",
                         "tessera data prune --recipe emoji.toml --samples 20000 --large runs/large/model --small "
                         "runs/small/model -o kept.txt",
                         "tessera train emoji.toml --set data.only=kept.txt"}};
  }
};
template <class V> void fields(V& v, DataPruneOptions& o) {
  v("data", o.data, "JSONL file of conversations; rows may name their sub-dataset as \"source\"");
  v("recipe", o.recipe, "instead: score the samples of this recipe's data, and write the numbers of the kept ones");
  v("samples", o.samples, "with --recipe: how many, from the first one on (0: one pass)");
  v("large", o.large, "model directory of the large scorer");
  v("small", o.small, "model directory of the small scorer");
  v("keep", o.keep, "share of each sub-dataset that is kept");
  v("per_token", o.per_token, "divide by the answer's tokens, so that long answers do not lead");
  v("out", o.out,
    "file for the kept rows, as they were and in their order; with --recipe for numbers, which data.only takes");
  v("scores", o.scores, "file of scores, continued when it exists (default: the out file's name with .scores)");
  v("output", o.output, "Output");
  v("device", o.device, "auto, cpu, cuda or cuda:N");
  v("threads", o.threads, "threads on the CPU; 0 takes one per core");
}

/// Scores every row under both models (DeltaLoss), writes the kept ones and prints a line for each sub-dataset.
int run_data_prune(const DataPruneOptions& options);

}  // namespace tessera::apps
