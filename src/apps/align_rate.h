// Options of `tessera align rate`: a judge's scores of answers, and how they agree with people's.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

struct AlignRateOptions {
  std::filesystem::path judge;
  std::filesystem::path ratings;
  std::filesystem::path out;
  int64_t low = 0, high = 10;
  OutputOptions output;
  ComputeOptions compute;

  static CommandLine command_line() {
    return {
        .verb = "align rate",
        .summary = "let a judge score answers, and compare its scores with people's",
        .positionals = {"judge"},
        .required = {"judge", "ratings"},
        .models = {"judge"},
        .short_names = {{"out", 'o'}},
        .examples = {
            "tessera align rate runs/align-lm/models/judge/model --ratings heldout.jsonl",
            "tessera align rate runs/align-lm/models/judge-distilled/model --ratings heldout.jsonl -o scored.jsonl"}};
  }
};
template <class V> void fields(V& v, AlignRateOptions& o) {
  v("judge", o.judge, "the judge's model directory");
  v("ratings", o.ratings, "JSONL of answers that people rated: prompt, response, score");
  v("out", o.out,
    "JSONL to write: each row with the judge's real-valued score, its most probable one, and the mass of the scale");
  v("low", o.low, "lowest score of the judge's scale");
  v("high", o.high, "highest score");
  v("output", o.output, "Output");
  v("compute", o.compute, "Compute");
}
/// Prints over all pairs of answers to one prompt that people rate differently how many the judge puts in the same order, by its real-valued score and
/// by the most probable one. Throws UserError for ratings that cannot be read and a model that does not write or chat.
int run_align_rate(const AlignRateOptions& options);

}  // namespace tessera::apps
