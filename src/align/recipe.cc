// Reading a recipe and refusing what cannot be run.
#include "align/recipe.h"

#include "core/error.h"
#include "train/recipe.h"

namespace tessera::align {

namespace {
void require(bool sound, std::string_view what, double got, std::string_view want) {
  if (!sound) throw UserError("[align] {} is {}, want {}", what, got, want);
}

void check(const AlignRecipe& r) {
  if (r.base.empty())
    throw UserError("[align] 'base' is missing; want the model directory that everything begins from");
  if (r.seeds.empty()) throw UserError("[align] 'seeds' is missing; want a JSONL file of conversations");
  if (r.ratings.empty()) throw UserError("[align] 'ratings' is missing; want a JSONL file of rated answers");
  if (r.method != "sft" && r.method != "dpo") throw UserError("[align] method is '{}', want sft or dpo", r.method);
  const auto number = [](int64_t value) { return static_cast<double>(value); };
  require(r.rounds >= 1, "rounds", number(r.rounds), "at least 1");
  require(r.prompts.pool >= 1, "prompts.pool", number(r.prompts.pool), "at least 1");
  require(r.prompts.shown_least >= 1, "prompts.shown_least", number(r.prompts.shown_least), "at least 1");
  require(r.prompts.shown_most >= r.prompts.shown_least, "prompts.shown_most", number(r.prompts.shown_most),
          "at least shown_least");
  require(r.prompts.max_tokens >= 1, "prompts.max_tokens", number(r.prompts.max_tokens), "at least 1");
  require(r.prompts.attempts >= 1, "prompts.attempts", number(r.prompts.attempts), "at least 1");
  require(r.answers.prompts >= 1, "answers.prompts", number(r.answers.prompts), "at least 1");
  require(r.answers.sft_models >= 1, "answers.sft_models", number(r.answers.sft_models), "at least 1");
  check(r.answers.endpoints);
  const int64_t writers = r.answers.sft_models + (r.answers.latest ? 1 : 0) + (r.answers.endpoints.empty() ? 0 : 1);
  require(r.answers.samples >= writers, "answers.samples", number(r.answers.samples),
          "at least one for each model that writes");
  require(r.answers.max_tokens >= 1, "answers.max_tokens", number(r.answers.max_tokens), "at least 1");
  require(r.answers.at_once >= 1, "answers.at_once", number(r.answers.at_once), "at least 1");
  require(r.judge.scale.high > r.judge.scale.low, "judge.scale.high", number(r.judge.scale.high), "more than low");
  require(r.judge.scale.count() <= 101, "judge.scale", number(r.judge.scale.count()), "at most 101 scores");
  require(r.judge.distil >= 0, "judge.distil", number(r.judge.distil), "0 or more");
  if (r.rounds * r.answers.prompts > r.prompts.pool)
    throw UserError("[align] {} rounds of {} prompts want {} prompts, prompts.pool is {}", r.rounds, r.answers.prompts,
                    r.rounds * r.answers.prompts, r.prompts.pool);
}
}  // namespace

AlignRecipe read_align_recipe(const Path& file, const std::vector<std::string>& overrides) {
  const Json tree = train::read_settings(file, overrides);
  AlignRecipe recipe;
  from_json(tree, recipe, file.string());
  check(recipe);
  return recipe;
}

}  // namespace tessera::align
