// Options of `tessera replay`.
#pragma once

#include "apps/text_options.h"

namespace tessera::apps {

struct ReplayOptions {
  std::filesystem::path receipt;
  std::filesystem::path model;
  int64_t beside = 0;
  bool cache_int8 = false;
  OutputOptions output;
  ComputeOptions compute;

  static CommandLine command_line() {
    return {.verb = "replay",
            .summary = "repeat an answer of `tessera serve` from its receipt, byte for byte",
            .positionals = {"receipt"},
            .required = {"receipt", "model"},
            .models = {"model"},
            .short_names = {{"model", 'm'}},
            .examples = {"tessera replay receipt.json -m models/books-lm",
                         "tessera replay receipt.json -m models/books-lm --beside 15"},
            .files = {"receipt"}};
  }
};
template <class V> void fields(V& v, ReplayOptions& o) {
  v("receipt", o.receipt,
    "the receipt, or the whole answer that holds it (asked for with \"tessera\": {\"receipt\": true})");
  v("model", o.model, "the model that gave the answer, a directory or a GGUF file");
  v("beside", o.beside, "so many other requests run at the same time");
  v("cache_int8", o.cache_int8, "keys and values in 8 bits, where the answer was given so");
  v("output", o.output, "Output");
  v("compute", o.compute, "Compute");
}

/// Exit status 0 for the same bytes, 1 for others.
int run_replay(const ReplayOptions& options);

}  // namespace tessera::apps
