// Options of `tessera inspect`, and the report it makes.
#pragma once

#include "apps/options.h"
#include "core/files.h"

namespace tessera::apps {

struct InspectOptions {
  Path target;
  bool tensors = false;
  OutputOptions output;

  static CommandLine command_line() {
    return {.verb = "inspect",
            .summary = "what is in a model directory, a file of weights or a training run",
            .positionals = {"target"},
            .required = {"target"},
            .models = {"target"},
            .examples = {"tessera inspect models/emoji-infinity", "tessera inspect model.safetensors --tensors",
                         "tessera inspect runs/emoji-codec --json"}};
  }
};
template <class V> void fields(V& v, InspectOptions& o) {
  v("target", o.target, "model directory, run directory, .safetensors or .gguf file");
  v("tensors", o.tensors, "list every tensor with format and shape");
  v("output", o.output, "Output");
}

/// What is at `target`, as a tree: `kind` is "weights", "model" or "run", `path` is where. Weights and models have
/// `parameters` (packed weights count unpacked), `bytes`, `dtypes` (as stored), `tensors` (a list when
/// `list_tensors`, else their number), `metadata` and, where layers are packed, `packed` by kind; a model has
/// `model_type`, `config` and, where there is one, `codec`; a run has `step`, `metrics`, `checkpoints` and, when it is done, `model`. Reads
/// headers only. Throws UserError when the target is none of these or is malformed.
Json inspect(const Path& target, bool list_tensors);

/// The report for a person.
std::string inspect_text(const Json& report);

int run_inspect(const InspectOptions& options);

}  // namespace tessera::apps
