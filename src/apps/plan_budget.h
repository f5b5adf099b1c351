// Options of `tessera plan budget`.
#pragma once

#include "apps/options.h"
#include "core/files.h"

namespace tessera::apps {

struct PlanBudgetOptions {
  Path runs;
  double flops = 0;
  std::string inference_tokens, max_params, tasks, method = "best", feature;
  double tolerance = 0.01;
  uint64_t resamples = 300;
  Path report;
  uint64_t seed = 0;
  int threads = 0;
  OutputOptions output;

  static CommandLine command_line() {
    return {.verb = "plan budget",
            .summary = "the size and tokens that score best for a given amount of compute",
            .required = {"runs", "flops"},
            .examples = {"tessera plan budget --runs examples/ladder/ladder_checkpoints.csv --flops 1e22",
                         "tessera plan budget --runs runs.csv --flops 1e22 --inference-tokens 2T --max-params 8B"},
            .choices = {{"method", {"best", "paper"}}}};
  }
};
template <class V> void fields(V& v, PlanBudgetOptions& o) {
  v("runs", o.runs, "the ladder's table (CSV; columns in docs/planning.md)");
  v("flops", o.flops, "compute for training and inference together, as in 1e22");
  v("inference_tokens", o.inference_tokens,
    "tokens to be served over the model's life, at 2 N FLOPs each, as in 2T (default: none)");
  v("max_params", o.max_params, "no larger model than this, as in 8B (default: no limit)");
  v("tasks", o.tasks,
    "tasks to score by, with their weights where they are not 1, as in mmlu,piqa:2 (default: as in plan ladder)");
  v("method", o.method, "best or paper, as in plan ladder");
  v("feature", o.feature, "as in plan ladder");
  v("tolerance", o.tolerance, "a smaller ladder is as good when it predicts within this fraction");
  v("resamples", o.resamples, "resamples of the ladder behind the intervals");
  v("report", o.report, "write a page with plots to this .html file");
  v("seed", o.seed, "same seed, same intervals");
  v("threads", o.threads, "0 takes one per core");
  v("output", o.output, "Output");
}

int run_plan_budget(const PlanBudgetOptions& options);

}  // namespace tessera::apps
