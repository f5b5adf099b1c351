// Options of `tessera convert`.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

struct ConvertOptions {
  std::filesystem::path model;
  std::vector<std::string> adapter;
  std::filesystem::path out;
  std::string format = "bf16";
  OutputOptions output;
  ComputeOptions compute;

  static CommandLine command_line() {
    return {.verb = "convert",
            .summary =
                "write a model as a GGUF file or a directory: adapters merged, released files joined, weights rounded",
            .required = {"model", "out"},
            .models = {"model", "adapter"},
            .short_names = {{"model", 'm'}, {"out", 'o'}, {"format", 'f'}},
            .examples = {"tessera convert -m models/books-lm -o books-lm.gguf --format q8_0",
                         "tessera convert -m SmolLM2-135M-Instruct.Q4_1.gguf -o SmolLM2-135M",
                         "tessera convert -m BASE --adapter ADAPTER -o merged",
                         "tessera convert -m infinity-2b-files -o infinity-2b-int4 --format int4"}};
  }
};
template <class V> void fields(V& v, ConvertOptions& o) {
  v("model", o.model, "model directory, GGUF file or folder of released files");
  v("adapter", o.adapter, "PEFT adapter directory to add to the model");
  v("out", o.out, "a file whose name ends with .gguf, or a new directory");
  v("format", o.format,
    "of the weights: f32, f16 or bf16; in a GGUF file also q8_0, q6_K, q5_K, q5_1, q5_0, q4_K, q4_1 or q4_0, of a "
    "model that draws also int8 or int4, rounded to nearest");
  v("output", o.output, "Output");
  v("compute", o.compute, "Compute");
}

/// With --json one object: model, out, format, bytes, seconds. Throws UserError for a model that cannot be written so.
int run_convert(const ConvertOptions& options);

}  // namespace tessera::apps
