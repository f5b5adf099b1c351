// Options of `tessera data tokenizer`.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

struct TokenizerOptions {
  std::vector<std::filesystem::path> text;
  std::filesystem::path out;
  int64_t vocabulary = 4096;
  OutputOptions output;

  static CommandLine command_line() {
    return {.verb = "data tokenizer",
            .summary = "learn a byte-level BPE tokenizer from texts",
            .positionals = {"text"},
            .required = {"text", "out"},
            .short_names = {{"out", 'o'}},
            .examples = {"tessera data tokenizer data/books --vocabulary 4096 -o runs/books-tokenizer"}};
  }
};
template <class V> void fields(V& v, TokenizerOptions& o) {
  v("text", o.text, "folders of .txt files, or files"), v("out", o.out, "directory for tokenizer.json");
  v("vocabulary", o.vocabulary, "tokens in all, control tokens and the 256 bytes with them");
  v("output", o.output, "Output");
}

/// Learns and writes the tokenizer; prints how many bytes a token stands for in the texts' words.
int run_data_tokenizer(const TokenizerOptions& options);

}  // namespace tessera::apps
