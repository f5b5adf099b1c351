// Options of `tessera draw`.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

struct DrawOptions {
  std::filesystem::path model;
  std::vector<std::string> adapter;
  std::vector<std::string> prompt;
  std::filesystem::path prompts;
  std::filesystem::path out;
  int64_t count = 1;
  bool sheet = false;
  int64_t enlarge = 1;
  std::filesystem::path save_scales;
  std::vector<double> cfg, tau;
  std::optional<double> top_p;
  std::string aspect = "1:1";
  std::filesystem::path from;
  int64_t keep_scales = 1;
  OutputOptions output;
  ComputeOptions compute;

  static CommandLine command_line() {
    return {
        .verb = "draw",
        .summary = "pictures from words",
        .positionals = {"prompt"},
        .required = {"model", "out"},
        .models = {"model", "adapter"},
        .short_names = {{"model", 'm'}, {"out", 'o'}, {"count", 'n'}},
        .examples = {
            "tessera draw -m models/emoji-infinity \"red apple\" -o apple.png",
            "tessera draw -m models/emoji-infinity \"red apple\" \"cat face\" -n 4 --sheet -o sheet.png",
            "tessera draw -m models/emoji-infinity \"red apple\" -o apple.png --save-scales scales --cfg 4 --tau 0.5",
            "tessera draw -m models/emoji-infinity \"green apple\" --from apple.png --keep-scales 2 -o green.png"}};
  }
};
template <class V> void fields(V& v, DrawOptions& o) {
  v("model", o.model, "model directory");
  v("adapter", o.adapter, "PEFT adapter directory to add to the model; several add up");
  v("prompt", o.prompt, "what to draw; several give several pictures");
  v("prompts", o.prompts, "file with a prompt on each line");
  v("out", o.out,
    "picture to write, by its ending PNG, JPEG or WebP; several become NAME-1.png, NAME-2.png, ... unless --sheet");
  v("count", o.count, "pictures of each prompt");
  v("sheet", o.sheet, "all pictures on one sheet, a row for each prompt");
  v("enlarge", o.enlarge, "every pixel becomes a square of this edge");
  v("save_scales", o.save_scales, "directory for the picture after every scale, and a strip of them");
  v("cfg", o.cfg, "guidance, one number or one per scale (default: the model's own)");
  v("tau", o.tau, "temperature, one number or one per scale (default: the model's own)");
  v("top_p", o.top_p, "bit values less likely than 1 - top_p are never drawn (default: the model's own)");
  v("aspect", o.aspect, "width:height like 16:9, or height / width like 0.5625");
  v("from", o.from, "picture whose first scales are kept");
  v("keep_scales", o.keep_scales, "how many scales of --from are kept");
  v("output", o.output, "Output");
  v("compute", o.compute, "Compute");
}

/// Draws and reports where the pictures are. Throws UserError before drawing when an output cannot be written.
int run_draw(const DrawOptions& options);

}  // namespace tessera::apps
