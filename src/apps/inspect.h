// Options of `tessera inspect`, and the report it makes.
#pragma once

#include "apps/options.h"
#include "apps/run_metrics.h"
#include "core/files.h"
#include "core/terminal.h"

namespace tessera::apps {

struct InspectOptions {
  Path target;
  bool tensors = false;
  bool plot = false;
  std::vector<std::string> metric;
  Path report;
  OutputOptions output;

  static CommandLine command_line() {
    return {
        .verb = "inspect",
        .summary = "what is in a model directory, a file of weights or a training run",
        .positionals = {"target"},
        .required = {"target"},
        .models = {"target"},
        .paths_with = {"plot", "metric", "report"},  // of runs, which nobody pulls
        .examples = {"tessera inspect models/emoji-infinity", "tessera inspect model.safetensors --tensors",
                     "tessera inspect runs/emoji-codec --plot", "tessera inspect runs/emoji-codec --report run.html",
                     "tessera inspect runs/emoji-codec --json"}};
  }
};
template <class V> void fields(V& v, InspectOptions& o) {
  v("target", o.target,
    "model directory, run directory, folder of released files, or a file of weights (.safetensors, .gguf, .pth)");
  v("tensors", o.tensors, "list every tensor with format and shape");
  v("plot", o.plot, "of a run: draw the loss and what was measured against steps, in the terminal");
  v("metric", o.metric, "draw this metric instead, as metrics.jsonl names it");
  v("report", o.report, "of a run: write a page with plots of its metrics to this .html file");
  v("output", o.output, "Output");
}

/// What is at `target`, as a tree: `kind` is "weights", "model", "run" or "folder" (of released files: `parts` are files and folders of weights),
/// `path` is where. Weights and models have
/// `parameters` (packed weights count unpacked), `bytes`, `dtypes` (as stored), `tensors` (a list when
/// `list_tensors`, else their number), `metadata` and, where layers are packed, `packed` by kind; a model has
/// `model_type`, `config` and, where there are such, `codec` and `text_encoder`; a run has `step`, `metrics`, `checkpoints` and, when it is done, `model`. Reads
/// headers only. Throws UserError when the target is none of these or is malformed.
Json inspect(const Path& target, bool list_tensors);

/// A recipe without what it does not use: in a table whose `kind` names one of its tables (as in [data] and [[data.mixture]]), those of other
/// kinds. Lists of tables become tables by number, as --set counts them.
Json used_settings(const Json& recipe);

/// The report for a person.
std::string inspect_text(const Json& report);

/// The charts of `tessera inspect RUN --plot`, as wide as the terminal: the first large, the others smaller and beside each other where
/// there is room.
std::string plot_text(const std::vector<MetricSeries>& series, const Terminal& terminal);

/// A page about a run: `report` as inspect() makes it, the chosen metrics, and all of them.
void write_run_report(const Json& report, const std::vector<MetricSeries>& chosen, const std::vector<MetricSeries>& all,
                      const Path& file);

int run_inspect(const InspectOptions& options);

}  // namespace tessera::apps
