// Options of `tessera see`.
#pragma once

#include "apps/text_options.h"

namespace tessera::apps {

struct SeeOptions {
  std::filesystem::path model;
  std::vector<std::string> adapter;
  std::vector<std::string> words;
  int64_t frames = 0;
  bool show = false;
  std::string show_as = "auto";
  SamplingOptions sampling{.max_new_tokens = 512};
  MemoryOptions memory;
  OutputOptions output;
  ComputeOptions compute;

  static CommandLine command_line() {
    return {.verb = "see",
            .summary = "answers about pictures and clips",
            .positionals = {"words"},
            .required = {"model"},
            .models = {"model", "adapter"},
            .short_names = {{"model", 'm'}},
            .examples = {"tessera see -m models/emoji-nvila picture.png \"What is this?\"",
                         "tessera see -m DIR before.jpg after.jpg \"What has changed?\" --json",
                         "curl -s URL | tessera see -m DIR - \"What is this?\"",
                         "tessera see -m DIR clip.mp4 \"Which way does it go?\" --frames 16"},
            .files = {"words"},
            .choices = {{"show_as", {"auto", "kitty", "sixel", "blocks", "ascii"}}}};
  }
};
template <class V> void fields(V& v, SeeOptions& o) {
  v("model", o.model, "model directory");
  v("adapter", o.adapter, "PEFT adapter directory to add to the model");
  v("words", o.words, "pictures and clips, in order, and last the question; -: one from standard input");
  v("frames", o.frames, "frames of each clip, spread evenly; 0: as many as the model was made for");
  v("show", o.show, "paint the pictures in the terminal, of a clip its first frame");
  v("show_as", o.show_as,
    "how: auto (by what the terminal says), kitty, sixel, blocks (half blocks in colour) or ascii; any other than auto "
    "implies --show");
  v("sampling", o.sampling, "Sampling");
  v("memory", o.memory, "Memory");
  v("output", o.output, "Output");
  v("compute", o.compute, "Compute");
}

/// Answers on standard output; what it took goes to standard error. Ctrl-C ends the answer; the text so far is kept.
/// Throws UserError before the model is loaded for files that do not exist and a question that is missing.
int run_see(const SeeOptions& options);

}  // namespace tessera::apps
