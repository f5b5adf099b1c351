// Options of `tessera quantize`.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

struct QuantizeOptions {
  std::filesystem::path model;
  std::vector<std::string> adapter;
  std::filesystem::path out;
  int64_t bits = 4;
  int64_t group = 0;
  std::string tower = "auto";
  std::string method = "awq";
  std::string format;
  std::vector<std::string> calibration;
  int64_t tokens = 16384;
  OutputOptions output;
  ComputeOptions compute;

  static CommandLine command_line() {
    return {.verb = "quantize",
            .summary = "pack a model's weights: 4 bits for language, 8 for the vision tower",
            .required = {"model", "out"},
            .models = {"model", "adapter"},
            .short_names = {{"model", 'm'}, {"out", 'o'}},
            .examples = {"tessera quantize -m models/books-lm -o books-lm-int4 --calibration books/",
                         "tessera quantize -m NVILA-Lite-2B -o NVILA-Lite-2B-int4 --tower int8 --calibration pictures/",
                         "tessera quantize -m DIR -o OUT.gguf --format q4_K",
                         "tessera quantize -m DIR -o OUT --method nearest"},
            .choices = {{"method", {"awq", "nearest"}}}};
  }
};
template <class V> void fields(V& v, QuantizeOptions& o) {
  v("model", o.model, "model directory, not packed yet");
  v("adapter", o.adapter, "PEFT adapter directory to add to the model");
  v("out", o.out, "directory to write, new or empty; with --format a .gguf file");
  v("bits", o.bits, "of the language model's layers: 4, or 0 to leave them");
  v("group", o.group, "weights that share a scale; 0: 128, or 64 or 32 where widths ask for it");
  v("tower", o.tower, "of the vision tower's layers: int8, none or auto (int8 where there is one)");
  v("format", o.format,
    "write a GGUF file instead, rounded to nearest in seconds: q8_0, q6_K, q5_K, q5_1, q5_0, q4_K, q4_1 or q4_0");
  v("method", o.method, "awq (scales and ranges from what activations are) or nearest (weights alone)");
  v("calibration", o.calibration,
    "text files, pictures or folders of them; default: texts that the model draws itself");
  v("tokens", o.tokens, "of text to calibrate on, at most");
  v("output", o.output, "Output");
  v("compute", o.compute, "Compute");
}

/// With --json one object: model, out, group, layers, tower_layers, bytes_before, bytes, error_nearest, error (means
/// over inputs of the layers' relative output error), seconds. Throws UserError for a model that is packed, cannot
/// be, or whose widths no group divides.
int run_quantize(const QuantizeOptions& options);

}  // namespace tessera::apps
