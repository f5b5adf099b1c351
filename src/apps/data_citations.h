// Options of `tessera data citations`.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

struct DataCitationsOptions {
  std::filesystem::path recipe;
  std::filesystem::path text;
  std::filesystem::path tokenizer;
  std::vector<std::string> set;
  std::filesystem::path out;
  OutputOptions output;

  static CommandLine command_line() {
    return {.verb = "data citations",
            .summary = "index what a model has read, so that it can be kept from quoting it",
            .required = {"out"},
            .models = {"tokenizer"},
            .short_names = {{"out", 'o'}},
            .examples = {"tessera data citations --recipe runs/books-lm-hyperfit/recipe.toml -o read.citations",
                         "tessera data citations --text books --tokenizer models/books-lm -o books.citations",
                         "tessera write -m models/books-lm-hyperfit \"Once\" --block-citations read.citations"}};
  }
};
template <class V> void fields(V& v, DataCitationsOptions& o) {
  v("recipe", o.recipe, "index the samples that a run trains on: its recipe.toml");
  v("set", o.set, "with --recipe: change a setting, as in data.text.path=MY/BOOKS");
  v("text", o.text, "instead: a text file or a folder of them, whole");
  v("tokenizer", o.tokenizer, "with --text: tokenizer or model directory");
  v("out", o.out, "file for the index");
  v("output", o.output, "Output");
}

/// Writes the index; prints how many tokens and passages are in it.
int run_data_citations(const DataCitationsOptions& options);

}  // namespace tessera::apps
