// Options of `tessera plan rank`.
#pragma once

#include "apps/options.h"
#include "core/files.h"

namespace tessera::apps {

struct PlanRankOptions {
  std::vector<Path> runs;
  std::string target, tasks, chance, ceiling, feature, max_rung;
  uint64_t resamples = 300;
  double coverage = 0.8;
  uint64_t seed = 0;
  int threads = 0;
  OutputOptions output;

  static CommandLine command_line() {
    return {.verb = "plan rank",
            .summary = "which of several recipes will win at a large size, with its probability",
            .required = {"runs", "target"},
            .examples = {"tessera plan rank --runs web.csv --runs books.csv --target 7B=6.9B:140B",
                         "tessera plan rank --runs a.csv --runs b.csv --runs c.csv --target 7B=6.9B:3.9T "
                         "--tasks mmlu:2,piqa --json"}};
  }
};
template <class V> void fields(V& v, PlanRankOptions& o) {
  v("runs", o.runs, "a recipe's ladder, as in plan ladder; once for each recipe, which is named after its file");
  v("target", o.target, "NAME=N:D, non-embedding parameters and training tokens, as in 7B=6.9B:3.9T, the same for all");
  v("tasks", o.tasks,
    "tasks to rank by, with their weights where they are not 1, as in mmlu,piqa:2 (default: those that all ladders "
    "have)");
  v("chance", o.chance, "as in plan ladder");
  v("ceiling", o.ceiling, "as in plan ladder");
  v("feature", o.feature, "as in plan ladder");
  v("max_rung", o.max_rung, "use only rungs up to this many parameters, as in 760M (default: no limit)");
  v("resamples", o.resamples, "resamples of each ladder behind the intervals");
  v("coverage", o.coverage, "share of intervals that shall hold the truth");
  v("seed", o.seed, "same seed, same intervals");
  v("threads", o.threads, "0 takes one per core");
  v("output", o.output, "Output");
}

int run_plan_rank(const PlanRankOptions& options);

}  // namespace tessera::apps
