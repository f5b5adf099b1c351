// Options of `tessera draw`.
#pragma once

#include "apps/text_options.h"

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
  std::string aspect, size, pixels, negative;
  std::vector<int64_t> cfg_layers;
  bool positive_prompt = false;
  std::filesystem::path init_image, from;
  std::optional<int64_t> top_k, window, settle;
  std::optional<int64_t> keep_scales;
  bool show = false;
  std::string show_as = "auto";
  FastOptions fast;
  MemoryOptions memory;
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
        .examples =
            {"tessera draw -m models/emoji-infinity \"red apple\" -o apple.png --show",
             "tessera draw -m models/emoji-infinity \"red apple\" \"tulip\" -n 4 --sheet -o sheet.png",
             "tessera draw -m models/emoji-infinity \"red apple\" -o apple.png --save-scales scales --cfg 4 --tau 0.5",
             "tessera draw -m models/emoji-infinity \"purple heart\" --init-image apple.png --keep-scales 2 -o "
             "heart.png",
             "tessera draw -m models/emoji-infinity \"red apple\" -o - | tessera see -m models/emoji-nvila - \"What is "
             "this?\"",
             "tessera draw -m infinity-2b \"a fox in the snow\" --size 1344x768 --negative \"blurry\" -o fox.png"},
        .choices = {{"show_as", {"auto", "kitty", "sixel", "blocks", "ascii"}}}};
  }
};
template <class V> void fields(V& v, DrawOptions& o) {
  v("model", o.model, "model directory");
  v("adapter", o.adapter, "PEFT adapter directory to add to the model");
  v("prompt", o.prompt, "what to draw; several give several pictures; -: standard input");
  v("prompts", o.prompts, "file with a prompt on each line; -: standard input");
  v("out", o.out,
    "picture to write, by its ending PNG, JPEG or WebP; several become NAME-1.png, NAME-2.png, ... unless --sheet; -: "
    "a PNG on standard output");
  v("count", o.count, "pictures of each prompt");
  v("sheet", o.sheet, "all pictures on one sheet, a row for each prompt");
  v("enlarge", o.enlarge, "every pixel becomes a square of this edge");
  v("save_scales", o.save_scales, "directory for the picture after every scale, or row of codes, and a strip of them");
  v("cfg", o.cfg, "guidance, one number or one per scale, as in 1,2,3,3 (default: the model's own)");
  v("tau", o.tau, "temperature, one number or one per scale, as in 1,1,0.5,0.5 (default: the model's own)");
  v("top_p", o.top_p,
    "Infinity: bit values less likely than 1 - top-p are never drawn; Liquid: codes are drawn from the most likely "
    "ones that make up this share (default: the model's own)");
  v("cfg_layers", o.cfg_layers,
    "where guidance mixes: 0 on the logits (default), -2 on what leaves the second last block; several mix in turn");
  v("negative", o.negative, "words that guidance leads away from");
  v("positive_prompt", o.positive_prompt, "prompts that speak of people get the publisher's words about faces");
  v("top_k", o.top_k, "Liquid: codes are drawn from the k most likely; 0: from all (default: the model's own)");
  v("window", o.window,
    "Liquid: codes guessed ahead and read in one pass, the same picture in fewer passes (default: the model's own)");
  v("settle", o.settle,
    "Liquid, with --window: passes after which guessed codes are taken as they are, for other pictures in fewer passes "
    "still; 0: never (default: the model's own)");
  v("aspect", o.aspect,
    "width:height like 16:9, or height / width like 0.5625; the nearest shape that the model has (default: that of "
    "--init-image, else 1:1)");
  v("size", o.size, "exactly this size, width first, like 1344x768; one that the model has");
  v("pixels", o.pixels, "area of a released model's pictures: 0.06M, 0.25M, 0.60M or 1M (default: the model's own)");
  v("init_image", o.init_image,
    "picture whose first scales, or rows of codes, are kept, cut to the shape that is drawn");
  v("keep_scales", o.keep_scales, "how many scales of --init-image are kept, 1 unless said: more are closer to it");
  v("from", o.from, "an older name of --init-image");
  v("show", o.show, "paint the pictures in the terminal");
  v("show_as", o.show_as,
    "how: auto (by what the terminal says), kitty, sixel, blocks (half blocks in colour) or ascii; any other than auto "
    "implies --show");
  v("fast", o.fast, "Faster, at some cost");
  v("memory", o.memory, "Memory");
  v("output", o.output, "Output");
  v("compute", o.compute, "Compute");
}

/// Draws and reports where the pictures are. Throws UserError before drawing when an output cannot be written.
int run_draw(const DrawOptions& options);

}  // namespace tessera::apps
