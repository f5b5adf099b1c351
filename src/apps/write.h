// Options of `tessera write`.
#pragma once

#include "apps/text_options.h"

namespace tessera::apps {

struct WriteOptions {
  std::filesystem::path model;
  std::vector<std::string> adapter;
  std::vector<std::string> prompt;
  std::filesystem::path prompts;
  int64_t count = 1;
  bool escapes = false;
  bool echo = true;
  bool stream = true;
  std::filesystem::path block_citations;
  SamplingOptions sampling;
  ShapeOptions shape;
  MemoryOptions memory;
  OutputOptions output;
  ComputeOptions compute;

  static CommandLine command_line() {
    return {
        .verb = "write",
        .summary = "continue a text",
        .positionals = {"prompt"},
        .required = {"model"},
        .models = {"model", "adapter"},
        .short_names = {{"model", 'm'}, {"count", 'n'}},
        .examples = {"tessera write -m models/books-lm \"Once\" --max-new-tokens 64",
                     "tessera write -m DIR \"Once upon a time\" --temperature 0.8 --top-p 0.95 -n 3 --seed 7",
                     "tessera write -m DIR \"Q: How many legs has a spider?\\nA:\" --escapes --stop \"\\n\" --no-echo",
                     "tessera write -m DIR --prompts beginnings.txt --json", "tessera write -m DIR - < beginning.txt",
                     "tessera write -m DIR \"A person as JSON: \" --json-schema person.json --no-echo"}};
  }
};
template <class V> void fields(V& v, WriteOptions& o) {
  v("model", o.model, "model directory or GGUF file");
  v("adapter", o.adapter, "PEFT adapter directory to add to the model");
  v("prompt", o.prompt, "how the text begins; several give several texts; -: standard input");
  v("prompts", o.prompts, "file with a prompt on each line; -: standard input");
  v("count", o.count, "texts for each prompt; they differ where tokens are drawn, not where the most likely is taken");
  v("escapes", o.escapes, "\\n in prompts is a line break, \\t a tab, \\\\ a backslash");
  v("echo", o.echo, "each text is shown with its prompt before it");
  v("stream", o.stream, "a single text is shown as it is written");
  v("block_citations", o.block_citations, "keep the text from quoting this index (`tessera data citations` makes it)");
  v("sampling", o.sampling, "Sampling");
  v("shape", o.shape, "Shape");
  v("memory", o.memory, "Memory");
  v("output", o.output, "Output");
  v("compute", o.compute, "Compute");
}

/// Writes to standard output; what it took goes to standard error. Ctrl-C ends the text, not what is written so far.
/// Throws UserError before the model is loaded when options are out of range.
int run_write(const WriteOptions& options);

}  // namespace tessera::apps
