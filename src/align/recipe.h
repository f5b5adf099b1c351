// A recipe of an alignment run: everything that decides what it makes, read strictly from TOML.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "align/endpoint.h"
#include "align/judge.h"
#include "core/fields.h"
#include "core/files.h"
#include "core/json.h"

namespace tessera::align {

template <class V> void fields(V& v, Scale& s) {
  v("low", s.low, "lowest score");
  v("high", s.high, "highest score");
}

/// The recipe's `[prompts]` table: how the pool of prompts is made (ALMA 3.1).
struct PromptTable {
  int64_t pool = 2000;
  int64_t shown_least = 3, shown_most = 5;
  int64_t max_tokens = 96;
  double temperature = 1, top_p = 0.95;
  double near = 0.7;
  int64_t attempts = 8;
  bool diversified = true;
  bool operator==(const PromptTable&) const = default;
};
template <class V> void fields(V& v, PromptTable& p) {
  v("pool", p.pool, "synthetic prompts that the base model writes before the first round");
  v("shown_least", p.shown_least, "seed prompts that it is shown for one of its own, at least");
  v("shown_most", p.shown_most, "and at most");
  v("max_tokens", p.max_tokens, "longest synthetic prompt, tokens");
  v("temperature", p.temperature, "at which prompts are drawn");
  v("top_p", p.top_p, "nucleus that prompts are drawn from");
  v("near", p.near, "share of word triples from which two prompts count as the same (1: only equal ones)");
  v("attempts", p.attempts, "prompts written at most for each that is wanted, since many are there already");
  v("diversified", p.diversified, "one unused prompt from each cluster a round; false: unused prompts at random");
}

/// The recipe's `[answers]` table (ALMA 3.2, 3.4).
struct AnswerTable {
  int64_t prompts = 100;
  int64_t samples = 12;
  int64_t max_tokens = 256;
  double temperature = 1, top_p = 1;
  int64_t at_once = 16;
  int64_t sft_models = 2;
  bool latest = true;
  std::vector<Endpoint> endpoints;
  bool operator==(const AnswerTable&) const = default;
};
template <class V> void fields(V& v, AnswerTable& a) {
  v("prompts", a.prompts, "prompts of a round (K)");
  v("samples", a.samples, "answers to each prompt in all, spread evenly over the models (N)");
  v("max_tokens", a.max_tokens, "longest answer, tokens");
  v("temperature", a.temperature, "at which answers are drawn");
  v("top_p", a.top_p, "nucleus that answers are drawn from");
  v("at_once", a.at_once, "answers written side by side");
  v("sft_models", a.sft_models, "models tuned on the seeds that write answers, each with a training seed of its own");
  v("latest", a.latest, "the model of the round before writes too, from the second round on");
  v("endpoints", a.endpoints, "servers with OpenAI's chat completions that together write as one more model");
}

/// What the recipe says of one kind of training (`[sft]`, `[dpo]`, `[judge.training]`): tables of a recipe of `tessera train`. The model that it
/// begins from, its data and its seed are the run's own matter.
struct TrainingTable {
  double epochs = 1;
  Json model = Json::object(), loss = Json::object(), train = Json::object();
  bool operator==(const TrainingTable&) const = default;
};
template <class V> void fields(V& v, TrainingTable& t) {
  v("epochs", t.epochs, "times that every row is learned, where train.steps says nothing else");
  v("model", t.model, "as in a recipe of tessera train, without `from`");
  v("loss", t.loss, "as there");
  v("train", t.train, "as there, without `seed`");
}

/// The recipe's `[judge]` table (ALMA 3.3).
struct JudgeTable {
  Scale scale;
  int64_t distil = 0;
  TrainingTable training;
  std::vector<Endpoint> endpoints;
  std::string chat_template;
  bool operator==(const JudgeTable&) const = default;
};
template <class V> void fields(V& v, JudgeTable& j) {
  v("scale", j.scale, "of the ratings");
  v("distil", j.distil, "answers that the judge rates itself and learns from afterwards (0: none)");
  v("training", j.training, "how the judge learns the ratings");
  v("endpoints", j.endpoints,
    "servers that judge in place of a model that is trained here; ratings are then not asked for");
  v("chat_template", j.chat_template,
    "of the servers' model, by name, where they score texts (empty: the question is a plain text)");
}

struct AlignRecipe {
  std::string out;
  std::string base;
  std::string seeds;
  std::string ratings;
  int64_t rounds = 3;
  int64_t seed = 1;
  std::string method = "sft";
  PromptTable prompts;
  AnswerTable answers;
  JudgeTable judge;
  TrainingTable sft;
  TrainingTable dpo;
};
template <class V> void fields(V& v, AlignRecipe& r) {
  v("out", r.out, "run directory");
  v("base", r.base, "model directory that every training begins from");
  v("seeds", r.seeds, "JSONL of conversations: what the first models learn, and the examples of the prompt synthesis");
  v("ratings", r.ratings, "JSONL of rated answers: what the judge learns");
  v("rounds", r.rounds, "rounds of synthetic data after the first models");
  v("seed", r.seed, "of everything random");
  v("method", r.method, "sft: best of N, from the base on all rounds' data; dpo: the best against a random one");
  v("prompts", r.prompts, "the pool of prompts");
  v("answers", r.answers, "what is answered in a round, and by whom");
  v("judge", r.judge, "who rates it");
  v("sft", r.sft, "trainings on answers");
  v("dpo", r.dpo, "trainings on preferences, for method = \"dpo\"");
}

/// Answers that the judge rates for its own distillation, to each of judge_prompts().
inline constexpr int64_t judge_samples = 2;
inline int64_t judge_prompts(const AlignRecipe& recipe) {
  return (recipe.judge.distil + judge_samples - 1) / judge_samples;
}
/// Prompts of the pool that the whole run uses: those of the rounds and of the judge's distillation.
inline int64_t prompts_wanted(const AlignRecipe& recipe) {
  return recipe.rounds * recipe.answers.prompts + judge_prompts(recipe);
}
/// Whether a judge is trained here.
inline bool trains_judge(const AlignRecipe& recipe) { return recipe.judge.endpoints.empty(); }
/// Under which name the scores of rounds stand in the store.
std::string judge_name(const AlignRecipe& recipe);

/// Throws UserError for settings that cannot be. read_align_recipe() calls it.
void check(const AlignRecipe& recipe);

/// Reads a recipe; `overrides` are "rounds=2"-like assignments. Throws UserError for unknown keys, wrong types and settings that cannot be.
AlignRecipe read_align_recipe(const Path& file, const std::vector<std::string>& overrides = {});

}  // namespace tessera::align
