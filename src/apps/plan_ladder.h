// Options of `tessera plan ladder`.
#pragma once

#include "apps/options.h"
#include "core/files.h"

namespace tessera::apps {

struct PlanLadderOptions {
  Path runs;
  std::vector<std::string> target;
  std::string tasks, chance, ceiling, method = "best", feature, max_rung, running;
  bool single_step = false;
  uint64_t resamples = 1000;
  double coverage = 0.8;
  Path report;
  uint64_t seed = 0;
  int threads = 0;
  OutputOptions output;

  static CommandLine command_line() {
    return {
        .verb = "plan ladder",
        .summary = "predict a large run's accuracies from small runs of its recipe",
        .required = {"runs"},
        .examples = {"tessera plan ladder --runs examples/ladder/ladder_checkpoints.csv",
                     "tessera plan ladder --runs runs.csv --target 7B=6.9B:3.9T --tasks mmlu,piqa --report out.html",
                     "tessera plan ladder --runs runs.csv --target 7B=6.9B:3.9T --method paper --json",
                     "tessera plan ladder --runs runs.csv --target 7B=6.9B:3.9T --running my-7b"},
        .choices = {{"method", {"best", "paper"}}}};
  }
};
template <class V> void fields(V& v, PlanLadderOptions& o) {
  v("runs", o.runs, "the ladder's table (CSV; columns in docs/planning.md)");
  v("target", o.target,
    "NAME=N:D, non-embedding parameters and training tokens, as in 7B=6.9B:3.9T (default: the table's rows with role "
    "'target')");
  v("tasks", o.tasks,
    "tasks to predict, with their weights in the mean where they are not 1, as in mmlu,piqa:2 (default: all whose "
    "accuracies vary, less BoolQ and Winogrande)");
  v("chance", o.chance, "a=.25: what guessing scores, where it is not known by the task's name (else fitted)");
  v("ceiling", o.ceiling,
    "a=.9: the most that any model can score, where it is known (else 1, lowered by data near it)");
  v("method", o.method, "best: chosen by hindcast, with intervals; paper: as published");
  v("feature", o.feature, "bpb, loss, ce, flops or acc: what is predicted first; without it the method's own");
  v("single_step", o.single_step, "with --method paper: accuracy straight from size and tokens");
  v("max_rung", o.max_rung, "use only rungs up to this many parameters, as in 760M (default: no limit)");
  v("running", o.running,
    "name of a run in the table that is under way: its checkpoints move the first target's forecast");
  v("resamples", o.resamples, "resamples of the ladder behind the intervals");
  v("coverage", o.coverage, "share of intervals that shall hold the truth");
  v("report", o.report, "write a page with plots to this .html file");
  v("seed", o.seed, "same seed, same intervals");
  v("threads", o.threads, "0 takes one per core");
  v("output", o.output, "Output");
}

int run_plan_ladder(const PlanLadderOptions& options);

}  // namespace tessera::apps
