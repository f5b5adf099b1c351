// Options of `tessera data tokenizer`.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

struct DataTokenizerOptions {
  std::filesystem::path text;
  int64_t vocabulary = 4096;
  std::vector<std::string> special;
  std::filesystem::path out;
  bool overwrite = false;
  OutputOptions output;

  static CommandLine command_line() {
    return {
        .verb = "data tokenizer",
        .summary = "train a small byte-level BPE tokenizer on a folder of text",
        .required = {"text", "out"},
        .short_names = {{"out", 'o'}},
        .examples = {"tessera data tokenizer --text books --vocabulary 4096 --out tokenizer",
                     "tessera data tokenizer --text captions.txt --vocabulary 512 --special '<image>' -o tokenizer"}};
  }
};
template <class V> void fields(V& v, DataTokenizerOptions& o) {
  v("text", o.text, "a text file, or a folder whose .txt files are read");
  v("vocabulary", o.vocabulary, "tokens in all, with 256 bytes and the control tokens");
  v("special", o.special,
    "more control tokens, after <|begin|>, <|end|>, <|pad|>, <|system|>, <|user|>, <|assistant|>");
  v("out", o.out, "folder for tokenizer.json and tokenizer_config.json");
  v("overwrite", o.overwrite, "replace an existing tokenizer");
  v("output", o.output, "Output");
}

/// Trains, writes, and prints how many bytes a token holds on average over the text that was read first.
int run_data_tokenizer(const DataTokenizerOptions& options);

}  // namespace tessera::apps
