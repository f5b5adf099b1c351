// Options of `tessera eval`.
#pragma once

#include "apps/text_options.h"

namespace tessera::apps {

/// Of tasks on pictures of Emoji World.
struct EvalWorldOptions {
  int64_t size = 0;
  std::vector<std::string> worlds = {"sprite", "scene", "clip"};
  std::vector<std::string> kinds;
  int64_t frames = 0;
  std::filesystem::path answers;
};
template <class V> void fields(V& v, EvalWorldOptions& o) {
  v("size", o.size, "emoji-qa: edge of the pictures; 0: the model's recipe's");
  v("worlds", o.worlds, "emoji-qa: what to show: sprite, scene or clip (default: all three)");
  v("kinds", o.kinds, "emoji-qa: kinds of questions, such as count and position (default: all)");
  v("frames", o.frames, "emoji-qa: frames of a clip; 0: as many as the model was made for");
  v("answers", o.answers, "emoji-qa, choice, olmes, diversity: write each question with its answer to this JSONL file");
}

/// Of tasks on words.
struct EvalTextOptions {
  std::vector<std::filesystem::path> data;
  std::filesystem::path examples;
  int64_t shots = 0;
  int64_t window = 0, stride = 0;
};
template <class V> void fields(V& v, EvalTextOptions& o) {
  v("data", o.data,
    "choice: JSONL of questions; olmes: request files or folders of them; perplexity, diversity: a "
    "text file or a folder of them; codec, fid: a folder of pictures");
  v("examples", o.examples, "choice: JSONL of solved examples");
  v("shots", o.shots, "choice: examples before each question");
  v("window", o.window, "perplexity: tokens seen at once; 0: the model's context");
  v("stride", o.stride, "perplexity: tokens that a window adds; 0: half of it");
}

/// Of task olmes.
struct EvalOlmesOptions {
  std::string variant;
  int64_t limit = 0;
};
template <class V> void fields(V& v, EvalOlmesOptions& o) {
  v("variant", o.variant, "which variant's requests of a folder of tasks, such as val_rc_5shot (default: all)");
  v("limit", o.limit, "documents of each task, taken at even distances; 0: all");
}

/// Of task diversity.
struct EvalDiversityOptions {
  int64_t prompt_tokens = 32;
  std::vector<int64_t> new_tokens = {96, 224};
  int64_t ttr_window = 50;
  std::optional<double> temperature;
  std::optional<int64_t> top_k;
  std::optional<double> repetition_penalty;
  double match_entropy = 0;
  std::filesystem::path citations;
  std::filesystem::path block_citations;
  std::filesystem::path compare;
};
template <class V> void fields(V& v, EvalDiversityOptions& o) {
  v("prompt_tokens", o.prompt_tokens, "tokens of an unseen text that are continued");
  v("new_tokens", o.new_tokens, "lengths at which continuations are measured");
  v("ttr_window", o.ttr_window, "tokens of the sliding type-token ratio");
  v("temperature", o.temperature, "0 takes the most likely token (default: 0; 1 where another filter is given)");
  v("top_k", o.top_k, "draw from the K most likely tokens");
  v("repetition_penalty", o.repetition_penalty, "above 1 makes tokens that were there already less likely");
  v("match_entropy", o.match_entropy, "draw at the temperature whose predictions have this entropy in nats; 0: no");
  v("citations", o.citations,
    "index of what the model has read (`tessera data citations`), to measure how much it quotes");
  v("block_citations", o.block_citations, "keep the model from quoting this index");
  v("compare", o.compare, "another model directory: how many predictions have another most likely token there");
}

/// A row for `tessera plan`.
struct EvalRowOptions {
  std::filesystem::path append;
  std::string name;
  std::string run;
  std::string role = "train";
  double params = 0;
  double tokens = 0;
};
template <class V> void fields(V& v, EvalRowOptions& o) {
  v("append", o.append, "choice, olmes, perplexity: put the result into this table for 'tessera plan ladder'");
  v("name", o.name, "what the table calls the task (default: the data file's name)");
  v("run", o.run, "what the table calls the run (default: the model directory's name)");
  v("role", o.role, "train (a rung) or target");
  v("params", o.params, "non-embedding parameters; 0: counted in the weights' headers");
  v("tokens", o.tokens, "tokens that the model was trained on");
}

struct EvalOptions {
  std::filesystem::path model;
  std::vector<std::string> adapter;
  std::string task;
  int64_t count = -1;
  std::vector<double> cfg, tau;
  FastOptions fast;
  std::optional<double> top_p;
  int64_t batch = 16;
  std::string split;
  std::string words = "names";
  std::string atlas;
  std::filesystem::path missed;
  std::filesystem::path reference;
  std::filesystem::path tower;
  EvalTextOptions text;
  EvalOlmesOptions olmes;
  EvalDiversityOptions diversity;
  EvalWorldOptions world;
  EvalRowOptions row;
  OutputOptions output;
  ComputeOptions compute;

  static CommandLine command_line() {
    return {
        .verb = "eval",
        .summary =
            "measure a model: choice, olmes, perplexity, diversity, emoji-qa, fid, sprite-retrieval, scenes or codec",
        .required = {"task"},
        .models = {"model", "adapter", "compare", "tower"},
        .short_names = {{"model", 'm'}, {"count", 'n'}},
        .examples = {"tessera eval -m models/emoji-infinity --task sprite-retrieval --count 200 --seed 1 --json",
                     "tessera eval -m models/emoji-infinity --task codec --count 0",
                     "tessera eval -m models/books-lm --task perplexity --data book.txt",
                     "tessera eval -m models/books-lm --task diversity --data unseen/ --new-tokens 96,224 --json",
                     "tessera eval -m DIR --task choice --data arc.jsonl --append runs.csv --tokens 2e9",
                     "tessera eval -m DIR --task olmes --data oe_eval_tasks --variant val_rc_5shot --limit 300",
                     "tessera eval -m models/emoji-nvila --task emoji-qa --count 400 --answers said.jsonl",
                     "tessera eval --task fid --data drawn/ --reference real/"},
        .choices = {
            {"task",
             {"choice", "olmes", "perplexity", "diversity", "emoji-qa", "fid", "sprite-retrieval", "scenes", "codec"}},
            {"words", {"names", "reworded", "keywords"}},
            {"split", {"train", "heldout"}},
            {"role", {"train", "target"}}}};
  }
};
template <class V> void fields(V& v, EvalOptions& o) {
  v("model", o.model, "model directory or GGUF file");
  v("adapter", o.adapter, "PEFT adapter directory to add to the model");
  v("task", o.task, "choice, olmes, perplexity, diversity, emoji-qa, fid, sprite-retrieval, scenes or codec");
  v("count", o.count,
    "pictures or questions to measure on; 0 takes all there are (default: 200, emoji-qa 4000, diversity 100, choice "
    "all)");
  v("batch", o.batch, "how many at once");
  v("cfg", o.cfg, "guidance, one number or one per scale (default: the model's)");
  v("tau", o.tau, "temperature, one number or one per scale (default: the model's)");
  v("top_p", o.top_p,
    "pictures by Infinity: drop bit values less likely than 1 - top-p; pictures by Liquid: draw from the most likely "
    "codes that make up this share (default of both: the model's); diversity: draw from the most likely tokens that "
    "make up this share");
  v("fast", o.fast, "Faster drawing, at some cost");
  v("split", o.split,
    "train: names and pairings the model was trained on; heldout: the others (default: train; emoji-qa: heldout "
    "pairings)");
  v("words", o.words,
    "what sprite-retrieval and scenes ask for: names, reworded (in other words and another order) or, of sprites, "
    "keywords, where every sprite that has them is right");
  v("atlas", o.atlas, "take sprites from this atlas instead of the system's font");
  v("missed", o.missed, "write the prompts whose sprite was not retrieved to this file");
  v("reference", o.reference, "fid: folder of pictures to compare with (default: the sprites that are drawn)");
  v("tower", o.tower, "fid: model directory whose vision tower gives the features (default: models/emoji-nvila)");
  v("text", o.text, "Text tasks");
  v("olmes", o.olmes, "OLMES");
  v("diversity", o.diversity, "Diversity");
  v("world", o.world, "Emoji World");
  v("row", o.row, "Row of a ladder");
  v("output", o.output, "Output");
  v("compute", o.compute, "Compute");
}

/// Prints a table, with --json one object: task, count, seed and the task's numbers (top1, top5, psnr, score, ...).
int run_eval(const EvalOptions& options);

}  // namespace tessera::apps
