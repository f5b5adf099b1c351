// An alignment run that is over in seconds: a model of a few thousand weights that reads bytes, six seeds and six ratings.
#pragma once

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "align/export.h"
#include "align/pipeline.h"
#include "data/testing_tokenizer.h"
#include "models/lm/testing.h"
#include "models/lm/training/objective.h"

namespace tessera::align::testing {

/// Writes base/, seeds.jsonl and ratings.jsonl into `folder`.
inline void write_small_inputs(const Path& folder) {
  data::testing::write_byte_tokenizer(folder / "tokenizer");
  lm::LmConfig config = lm::tiny_config("llama");
  config.vocabulary = data::testing::byte_vocabulary;
  config.context = 1024;
  lm::LmObjective start({.model = lm::tiny_lm(config),
                         .tokenizer = text::load_tokenizer(folder / "tokenizer"),
                         .chat = text::ChatTemplate::named("chatml"),
                         .tokenizer_directory = folder / "tokenizer",
                         .given_chat = true,
                         .training = {.stored = "f32"}},
                        5, at::kCPU);
  start.save_model(folder / "base", disk());
  std::string seeds, ratings;
  for (int i = 0; i < 6; ++i) {
    seeds += fmt::format(
        "{{\"messages\":[{{\"role\":\"user\",\"content\":\"ask "
        "{}\"}},{{\"role\":\"assistant\",\"content\":\"a{}\"}}]}}\n",
        i, i);
    ratings += fmt::format("{{\"prompt\":\"ask {}\",\"response\":\"a\",\"score\":{}}}\n", i, i);
  }
  write_file_atomically(folder / "seeds.jsonl", seeds);
  write_file_atomically(folder / "ratings.jsonl", ratings);
}

/// A recipe over them, with two rounds into folder/out.
inline AlignRecipe small_recipe(const Path& folder, const std::string& out) {
  AlignRecipe r;
  r.out = (folder / out).string();
  r.base = (folder / "base").string();
  r.seeds = (folder / "seeds.jsonl").string();
  r.ratings = (folder / "ratings.jsonl").string();
  r.rounds = 2;
  r.prompts = {.pool = 14, .max_tokens = 12, .near = 1, .attempts = 40};
  r.answers = {.prompts = 4, .samples = 5, .max_tokens = 6, .at_once = 4};
  r.judge.distil = 4;
  const auto training = [](int64_t steps, double rate) -> TrainingTable {
    return {.loss = {{"stored", "f32"}},
            .train = {{"batch", 6},
                      {"steps", steps},
                      {"checkpoint_every", 15},
                      {"schedule", {{"kind", "constant"}, {"learning_rate", rate}, {"warmup_steps", 0}}}}};
  };
  r.sft = training(40, 1e-2);  // until its answers end
  r.judge.training = training(2, 1e-3);
  r.dpo = training(2, 1e-3);
  return r;
}

/// Everything that a run of small_recipe() has made but for times, ids and where it stands.
inline std::string made_by(const Path& run) {
  const Store store(store_of(run), false);
  export_all(store, run / "export.jsonl");
  std::vector<std::string> lines;
  std::istringstream rows(read_file(run / "export.jsonl"));
  for (std::string line; std::getline(rows, line);) lines.push_back(line);
  std::ranges::sort(lines);
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  for (const char* model : {"sft-1", "sft-2", "judge", "judge-distilled", "round-1", "round-2"})
    all += read_file(run / "models" / model / "model/model.safetensors");
  return all;
}

}  // namespace tessera::align::testing
