// Reading a recipe and refusing what cannot be run.
#include "align/recipe.h"

#include <cmath>

#include "core/error.h"
#include "train/loop.h"
#include "train/recipe.h"

namespace tessera::align {

namespace {
void require(bool sound, std::string_view what, double got, std::string_view want) {
  if (!sound) throw UserError("[align] {} is {}, want {}", what, got, want);
}

void require_table(const std::string& name, const TrainingTable& table) {
  const std::string source = fmt::format("[{}] of the recipe", name);
  if (!(table.epochs > 0 && std::isfinite(table.epochs)))
    throw UserError("[align] {}.epochs is {}, want more than 0", name, table.epochs);
  for (const auto& [key, tree] : {std::pair{"model", table.model}, {"loss", table.loss}, {"train", table.train}}) {
    if (!tree.is_object()) throw UserError("[align] {}.{} is {}, want a table", name, key, tree.dump());
  }
  if (table.model.contains("from") || table.train.contains("seed"))
    throw UserError("[align] {}.model.from and {}.train.seed are the run's own matter; leave them out", name, name);
  train::TrainConfig config;
  from_json(table.train, config, source, "train");
  train::validate(config);
}

void check_judge(const AlignRecipe& r) {
  const JudgeTable& judge = r.judge;
  require(judge.scale.high > judge.scale.low, "judge.scale.high", static_cast<double>(judge.scale.high),
          "more than low");
  require(judge.scale.count() <= 101, "judge.scale", static_cast<double>(judge.scale.count()), "at most 101 scores");
  require(judge.distil >= 0, "judge.distil", static_cast<double>(judge.distil), "0 or more");
  require_table("judge.training", judge.training);
  check(judge.endpoints);
  if (trains_judge(r)) {
    if (r.ratings.empty()) throw UserError("[align] 'ratings' is missing; want a JSONL file of rated answers");
    if (!judge.chat_template.empty())
      throw UserError("[align] judge.chat_template belongs to judge.endpoints; a judge that is trained has its own");
    return;
  }
  if (!r.ratings.empty() || judge.distil > 0)
    throw UserError(
        "[align] ratings and judge.distil teach a judge that is trained here; leave them out with judge.endpoints");
}
}  // namespace

std::string judge_name(const AlignRecipe& recipe) {
  if (!trains_judge(recipe)) return "endpoints";
  return recipe.judge.distil > 0 ? "judge-distilled" : "judge";
}

void check(const AlignRecipe& r) {
  if (r.base.empty())
    throw UserError("[align] 'base' is missing; want the model directory that everything begins from");
  if (r.seeds.empty()) throw UserError("[align] 'seeds' is missing; want a JSONL file of conversations");
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
  check_judge(r);
  require_table("sft", r.sft);
  require_table("dpo", r.dpo);
  if (prompts_wanted(r) > r.prompts.pool)
    throw UserError(
        "[align] {} rounds of {} prompts and {} for the judge's distillation want {} prompts, prompts.pool is {}",
        r.rounds, r.answers.prompts, judge_prompts(r), prompts_wanted(r), r.prompts.pool);
}

AlignRecipe read_align_recipe(const Path& file, const std::vector<std::string>& overrides) {
  const Json tree = train::read_settings(file, overrides);
  AlignRecipe recipe;
  from_json(tree, recipe, file.string());
  check(recipe);
  return recipe;
}

}  // namespace tessera::align
