// Who judges: a model that is trained on the ratings and then on its own, or servers; and the scores of a round.
#include <algorithm>

#include "align/endpoint_judge.h"
#include "align/pipeline_run.h"
#include "align/synthesis.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"

namespace tessera::align {

namespace {
constexpr int64_t judge_round = -1;  // whose prompts and answers the judge's distillation takes

StoredScore stored(const StoredAnswer& answer, const std::string& judge, const Judgement& found) {
  return {.answer = answer.id,
          .judge = judge,
          .score = found.score,
          .likeliest = found.likeliest,
          .tied = found.tied,
          .mass = found.mass,
          .probabilities = Json(found.probabilities).dump()};
}
}  // namespace

void Pipeline::make_judge() {
  if (!trains_judge(recipe_)) {
    step("judge", [&](Json& detail) {
      const auto form = judge_form(recipe_.judge, InterruptGuard::raised);
      if (!form) throw Interrupted();
      store_.set_note("judge form", name_of(*form));
      detail["form"] = name_of(*form);
    });
    return;
  }
  step("judge", [&](Json& detail) { train_judge(detail); });
  if (recipe_.judge.distil > 0) step("judge, distilled", [&](Json& detail) { distil_judge(detail); });
}

void Pipeline::train_judge(Json& detail) {
  if (!std::filesystem::exists(data_file("ratings")))
    write_file_atomically(data_file("ratings"),
                          lessons_of(read_ratings(recipe_.ratings, recipe_.judge.scale), recipe_.judge.scale));
  train_on("judge", base_, data_file("ratings"), recipe_.judge.training, models::conversation_objective(base_),
           recipe_.seed, detail);
}

/// The judge rates answers to prompts of its own and learns from its ratings, going on from itself (ALMA 3.3).
void Pipeline::distil_judge(Json& detail) {
  if (store_.prompts_of_round(judge_round).empty())
    store_.use_prompts(choose_prompts(store_, judge_round, judge_prompts(recipe_), recipe_.prompts.diversified,
                                      static_cast<uint64_t>(recipe_.seed)),
                       judge_round);
  write_answers(judge_round, judge_samples, {sft_name(0)}, detail);
  score_answers(judge_round, "judge", detail);
  std::string rows;
  store_.each_scored(judge_round, "judge", [&](const StoredPrompt& prompt, const std::vector<ScoredAnswer>& answers) {
    for (const ScoredAnswer& each : answers)
      rows += row_of(judge_question(prompt.text, each.answer.text, recipe_.judge.scale),
                     judge_answer(std::llround(each.score)));
  });
  write_file_atomically(data_file("distilled"), rows);
  train_on("judge-distilled", model_dir("judge"), data_file("distilled"), recipe_.judge.training,
           models::conversation_objective(base_), recipe_.seed, detail);
}

std::vector<StoredScore> Pipeline::judged_locally(const std::string& judge, const std::vector<StoredAnswer>& answers,
                                                  const std::map<int64_t, std::string>& prompts) {
  std::vector<Judge::Request> requests;
  for (const StoredAnswer& answer : answers) requests.push_back({prompts.at(answer.prompt), answer.text});
  const std::vector<Judgement> found = Judge(writer_.get(model_dir(judge)), recipe_.judge.scale).judge(requests);
  std::vector<StoredScore> scores;
  for (size_t i = 0; i < answers.size(); ++i) scores.push_back(stored(answers[i], judge, found[i]));
  return scores;
}

std::vector<StoredScore> Pipeline::judged_elsewhere(const std::vector<StoredAnswer>& answers,
                                                    const std::map<int64_t, std::string>& prompts) {
  std::vector<Judge::Request> requests;
  for (const StoredAnswer& answer : answers) requests.push_back({prompts.at(answer.prompt), answer.text});
  std::vector<StoredScore> scores;
  try {
    judge_elsewhere(
        recipe_.judge, judge_form_of(store_.note("judge form")), requests,
        [&](size_t i, const Judgement& found) { scores.push_back(stored(answers[i], elsewhere, found)); },
        InterruptGuard::raised);
  } catch (const FaultError&) {
    store_.add_scores(scores);  // servers that are lost have judged others before
    throw;
  }
  return scores;
}

void Pipeline::score_answers(int64_t round, const std::string& judge, Json& detail) {
  constexpr int64_t locally_at_once = 32, elsewhere_at_once = 256;
  const bool local = trains_judge(recipe_);
  std::map<int64_t, std::string> prompts;
  for (const StoredPrompt& prompt : store_.prompts_of_round(round)) prompts[prompt.id] = prompt.text;
  int64_t done = store_.count_scores(round, judge), last = 0;
  StepProgress bar = progress("scores", store_.count_answers(round), "answers", done);
  for (;;) {
    const std::vector<StoredAnswer> waiting =
        store_.unscored(round, judge, local ? locally_at_once : elsewhere_at_once, last);
    if (waiting.empty()) break;
    last = waiting.back().id;
    const std::vector<StoredScore> scores =
        local ? judged_locally(judge, waiting, prompts) : judged_elsewhere(waiting, prompts);
    store_.add_scores(scores);
    bar.update(done += std::ssize(scores));
    if (InterruptGuard::raised()) throw Interrupted();
  }
  bar.finish();
  summarise_scores(round, judge, detail);
}

/// Means over all answers that have a score and over the best of each prompt. Throws UserError for a judge that there is nothing to learn from.
void Pipeline::summarise_scores(int64_t round, const std::string& judge, Json& detail) const {
  std::vector<double> scores;
  double sum = 0, best = 0;
  int64_t prompts = 0, silent = 0;
  store_.each_scored(round, judge, [&](const StoredPrompt&, const std::vector<ScoredAnswer>& answers) {
    bool first = true;
    for (const ScoredAnswer& each : answers) {
      silent += each.mass > 0 ? 0 : 1;
      if (each.mass == 0) continue;
      best += first ? each.score : 0;
      prompts += first ? 1 : 0;
      first = false;
      scores.push_back(each.score);
      sum += each.score;
    }
  });
  const int64_t all = std::ssize(scores) + silent;
  const auto scored = std::max<double>(1, static_cast<double>(scores.size()));
  if (2 * silent > all)
    throw UserError("[align] the judge gives no score to {} of {} answers; want \"Rating: [[N]]\" with N from {} to {}",
                    silent, all, recipe_.judge.scale.low, recipe_.judge.scale.high);
  if (says_one_thing(scores, recipe_.judge.scale))
    throw UserError(
        "[align] the judge gives {:.2f} to all {} answers of this round; it has learned nothing to choose by: look at "
        "the ratings, or train it longer",
        scores.front(), scores.size());
  detail["mean"] = sum / scored;
  detail["best"] = best / std::max<double>(1, static_cast<double>(prompts));
  detail["integer_ties"] = static_cast<double>(store_.count_ties(round, judge)) / scored;
  if (silent > 0) detail["without_score"] = silent;
}

}  // namespace tessera::align
