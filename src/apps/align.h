// Options of `tessera align`.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

struct AlignOptions {
  std::filesystem::path recipe;
  std::vector<std::string> set;
  std::filesystem::path out;
  OutputOptions output;
  std::string device = "auto";
  int threads = 0;

  static CommandLine command_line() {
    return {
        .verb = "align",
        .summary = "align a model from few labels, in rounds of its own answers; goes on with a run that was stopped",
        .positionals = {"recipe"},
        .short_names = {{"out", 'o'}, {"set", 's'}},
        .examples = {"tessera align recipes/align-lm.toml",
                     "tessera align recipes/align-lm.toml --set rounds=10 --out runs/ten-rounds",
                     "tessera align status runs/ten-rounds"}};
  }
};
template <class V> void fields(V& v, AlignOptions& o) {
  v("recipe", o.recipe, "TOML file with base, seeds, ratings and settings");
  v("set", o.set, "changes the recipe, as in rounds=10");
  v("out", o.out, "run directory, instead of the recipe's");
  v("output", o.output, "Output");
  v("device", o.device, "auto, cpu, cuda or cuda:N");
  v("threads", o.threads, "threads on the CPU; 0 takes one per core");
}

/// Runs the recipe and prints where the model is. Returns 130 when Ctrl-C stopped it.
int run_align_verb(const AlignOptions& options);

struct AlignStatusOptions {
  std::filesystem::path run;
  OutputOptions output;

  static CommandLine command_line() {
    return {.verb = "align status",
            .summary = "what an alignment run has done so far, also while it works",
            .positionals = {"run"},
            .required = {"run"},
            .examples = {"tessera align status runs/align-lm"}};
  }
};
template <class V> void fields(V& v, AlignStatusOptions& o) {
  v("run", o.run, "run directory");
  v("output", o.output, "Output");
}
int run_align_status(const AlignStatusOptions& options);

struct AlignExportOptions {
  std::filesystem::path run;
  std::filesystem::path out;
  std::string best;
  OutputOptions output;

  static CommandLine command_line() {
    return {.verb = "align export",
            .summary = "write every prompt, answer and score of an alignment run as JSONL, or the best answers alone",
            .positionals = {"run"},
            .required = {"run", "out"},
            .short_names = {{"out", 'o'}},
            .examples = {"tessera align export runs/align-lm -o everything.jsonl",
                         "tessera align export runs/align-lm --best sft -o talks.jsonl",
                         "tessera align export runs/align-lm --best pairs -o pairs.jsonl"},
            .choices = {{"best", {"sft", "pairs"}}}};
  }
};
template <class V> void fields(V& v, AlignExportOptions& o) {
  v("run", o.run, "run directory");
  v("out", o.out, "JSONL file to write");
  v("best", o.best,
    "sft: the best answer to each prompt, as conversations; pairs: with another one behind it, as preferences");
  v("output", o.output, "Output");
}
int run_align_export(const AlignExportOptions& options);

struct AlignReportOptions {
  std::filesystem::path run;
  std::filesystem::path out;
  int64_t examples = 5;
  OutputOptions output;

  static CommandLine command_line() {
    return {
        .verb = "align report",
        .summary = "write an alignment run as an HTML page: scores by round, clusters, best and worst answers, costs",
        .positionals = {"run"},
        .required = {"run", "out"},
        .short_names = {{"out", 'o'}},
        .examples = {"tessera align report runs/align-lm -o page.html"}};
  }
};
template <class V> void fields(V& v, AlignReportOptions& o) {
  v("run", o.run, "run directory");
  v("out", o.out, "HTML file to write");
  v("examples", o.examples, "best answers that are shown, and worst ones");
  v("output", o.output, "Output");
}
int run_align_report(const AlignReportOptions& options);

}  // namespace tessera::apps
