// Options of `tessera data emoji`.
#pragma once

#include "apps/options.h"
#include "data/emoji_source.h"

namespace tessera::apps {

struct DataEmojiOptions {
  std::string kind = "sprite";
  int64_t count = 16;
  int64_t size = 64;
  int64_t seed = 0;
  std::string ground = "white";
  std::string split = "train";
  int64_t names = 0;
  int64_t names_seed = 0;
  int64_t frames = 8;
  std::string atlas;
  std::vector<std::string> languages;
  double foreign = 0;
  double keywords = 0;
  std::string layout = "free";
  std::vector<std::string> kinds;
  double reworded = 0;
  std::filesystem::path out;
  std::filesystem::path pack;
  std::filesystem::path talk;
  bool overwrite = false;
  OutputOptions output;

  static CommandLine command_line() {
    return {.verb = "data emoji",
            .summary = "write Emoji World's pictures and words to look at, or pack an atlas",
            .short_names = {{"out", 'o'}, {"count", 'n'}},
            .examples = {"tessera data emoji --kind scene --count 20 --seed 1 --size 256 --ground pastel --out scenes",
                         "tessera data emoji --pack emoji.atlas",
                         "tessera data emoji --kind scene --names 160 --count 20000 --talk words/scenes.txt"},
            .choices = {{"kind", {"sprite", "scene", "clip"}}, {"layout", {"free", "rows"}}}};
  }
};
template <class V> void fields(V& v, DataEmojiOptions& o) {
  v("kind", o.kind, "sprite, scene or clip");
  v("count", o.count, "how many samples to write");
  v("size", o.size, "width and height in pixels");
  v("seed", o.seed, "same seed, same samples");
  v("ground", o.ground, "white, or pastel for many colours");
  v("split", o.split, "train or heldout");
  v("names", o.names, "how many emoji take part; 0 is all");
  v("names_seed", o.names_seed, "the shuffle that 'names' counts along");
  v("frames", o.frames, "pictures of a clip");
  v("atlas", o.atlas, "take sprites from this atlas instead of the system's font");
  v("languages", o.languages, "CLDR language code, such as de");
  v("foreign", o.foreign, "share of captions in one of them");
  v("keywords", o.keywords, "share of captions that are keywords");
  v("layout", o.layout, "of scenes: free, or rows (centred, in the caption's order)");
  v("kinds", o.kinds, "of scenes, in turn: single, two, counting, colours, position, binding, crowd (default: all)");
  v("reworded", o.reworded, "share of captions in other words or another order");
  v("out", o.out, "folder for 00000.png, ... and captions.jsonl");
  v("pack", o.pack, "write an atlas of all sprites and names to this file");
  v("talk", o.talk, "write every sample's questions and answers to this text file, for a tokenizer to learn from");
  v("overwrite", o.overwrite, "write into a folder that already holds files");
  v("output", o.output, "Output");
}

/// Writes the samples or the atlas; prints how many a second one core made.
int run_data_emoji(const DataEmojiOptions& options);

}  // namespace tessera::apps
