// What a round does: answers, scores, and the rows that the next model learns.
#include <algorithm>

#include "align/endpoint.h"
#include "align/pipeline_run.h"
#include "align/writer.h"
#include "core/error.h"
#include "core/json.h"
#include "core/progress.h"
#include "core/rng.h"

namespace tessera::align {

namespace {
constexpr int64_t answers_in_a_transaction = 64, scored_at_once = 32;
}  // namespace

/// What is missing of each model's share; answers are stored as they come, some at a time.
void Pipeline::write_answers(int64_t round, int64_t samples, const std::vector<std::string>& models, Json& detail) {
  const std::vector<StoredPrompt> prompts = store_.prompts_of_round(round);
  const auto share = static_cast<int64_t>(models.size());
  Progress progress("answers", std::ssize(prompts) * samples, "answers");
  int64_t done = store_.count_answers(round);
  progress.update(done);
  for (int64_t m = 0; m < share; ++m) {
    const std::string& model = models[static_cast<size_t>(m)];
    const Rng rng =
        Rng(static_cast<uint64_t>(recipe_.seed)).split(hash_text(model)).split(static_cast<uint64_t>(round + 2));
    const int64_t own = samples / share + (m < samples % share ? 1 : 0);
    std::vector<StoredAnswer> wanted;
    for (const StoredPrompt& prompt : prompts) {
      for (int64_t number = 0; number < own; ++number) {
        if (store_.has_answer(prompt.id, round, model, number)) continue;
        Rng draws = rng.split(static_cast<uint64_t>(prompt.id)).split(static_cast<uint64_t>(number));
        wanted.push_back({.prompt = prompt.id,
                          .round = round,
                          .model = model,
                          .number = number,
                          .seed = draws.next(),
                          .text = prompt.text});
      }
    }
    if (wanted.empty()) continue;
    std::vector<StoredAnswer> ready;
    const auto keep = [&](StoredAnswer answer) {
      ready.push_back(std::move(answer));
      progress.update(++done);
      if (std::ssize(ready) < answers_in_a_transaction) return;
      store_.add_answers(ready);
      ready.clear();
    };
    if (model == elsewhere) write_elsewhere(wanted, keep);
    else write_locally(model, wanted, keep);
    store_.add_answers(ready);
    if (InterruptGuard::raised()) throw Interrupted();
  }
  progress.finish();
  detail["answers"] = store_.count_answers(round);
}

/// `wanted` have their prompts as texts.
void Pipeline::write_locally(const std::string& name, const std::vector<StoredAnswer>& wanted,
                             const std::function<void(StoredAnswer)>& done) {
  const Writes& model = writer_.get(model_dir(name));
  std::vector<WritingJob> jobs;
  for (const StoredAnswer& each : wanted)
    jobs.push_back(
        {.prompt = model.chat_prompt({{.role = "user", .content = each.text}}), .seed = each.seed, .key = jobs.size()});
  write_all(model, jobs,
            {.max_tokens = recipe_.answers.max_tokens,
             .temperature = recipe_.answers.temperature,
             .top_p = recipe_.answers.top_p,
             .at_once = recipe_.answers.at_once},
            [&](WrittenText written) {
              StoredAnswer answer = wanted[written.key];
              answer.text = std::move(written.text);
              answer.tokens = written.tokens;
              answer.finished = written.finished;
              done(std::move(answer));
              return !InterruptGuard::raised();
            });
}

void Pipeline::write_elsewhere(const std::vector<StoredAnswer>& wanted, const std::function<void(StoredAnswer)>& done) {
  std::vector<EndpointJob> jobs;
  for (const StoredAnswer& each : wanted) {
    const Json turn = {{"role", "user"}, {"content", each.text}};
    Json body = {{"max_tokens", recipe_.answers.max_tokens},
                 {"temperature", recipe_.answers.temperature},
                 {"top_p", recipe_.answers.top_p},
                 {"seed", each.seed >> 33}};
    body["messages"] = Json::array({turn});
    jobs.push_back({std::move(body), jobs.size()});
  }
  ask_endpoints(
      recipe_.answers.endpoints, std::move(jobs),
      [&](const EndpointAnswer& given, bool last_try) {
        const Json& choice = given.body["choices"][0];
        StoredAnswer answer = wanted[given.key];
        const Json content = choice["message"].value("content", Json());
        answer.text = content.is_string() ? content.get<std::string>() : "";
        if (answer.text.empty() && !last_try) return false;
        answer.finished = choice.value("finish_reason", Json()) == "stop";
        if (given.body.contains("usage") && given.body["usage"].is_object())
          answer.tokens = given.body["usage"].value("completion_tokens", int64_t{0});
        done(std::move(answer));
        return true;
      },
      [] { return InterruptGuard::raised(); });
}

void Pipeline::score_answers(int64_t round, const std::string& judge, Json& detail) {
  const int64_t all = store_.count_answers(round);
  std::map<int64_t, std::string> texts;
  for (const StoredPrompt& prompt : store_.prompts_of_round(round)) texts[prompt.id] = prompt.text;
  Progress progress("scores", all, "answers");
  progress.update(store_.count_scores(round, judge));
  for (;;) {
    const std::vector<StoredAnswer> waiting = store_.unscored(round, judge, scored_at_once);
    if (waiting.empty()) break;
    std::vector<Judge::Request> requests;
    for (const StoredAnswer& answer : waiting) requests.push_back({texts.at(answer.prompt), answer.text});
    const std::vector<Judgement> found = Judge(writer_.get(model_dir(judge)), recipe_.judge.scale).judge(requests);
    std::vector<StoredScore> scores;
    for (size_t i = 0; i < waiting.size(); ++i)
      scores.push_back({.answer = waiting[i].id,
                        .judge = judge,
                        .score = found[i].score,
                        .likeliest = found[i].likeliest,
                        .tied = found[i].tied,
                        .mass = found[i].mass,
                        .probabilities = Json(found[i].probabilities).dump()});
    store_.add_scores(scores);
    progress.update(store_.count_scores(round, judge));
    if (InterruptGuard::raised()) throw Interrupted();
  }
  progress.finish();
  std::vector<double> scores;
  double best = 0;
  const auto scored = store_.scored(round, judge);
  for (const auto& [prompt, answers] : scored) {
    best += answers.front().score;
    for (const ScoredAnswer& each : answers) scores.push_back(each.score);
  }
  if (says_one_thing(scores, recipe_.judge.scale))
    throw UserError(
        "[align] the judge gives {:.2f} to all {} answers of this round; it has learned nothing to choose by: look at "
        "the "
        "ratings, or train it longer",
        scores.front(), scores.size());
  double sum = 0;
  for (const double each : scores) sum += each;
  detail["mean"] = sum / static_cast<double>(std::max<size_t>(1, scores.size()));
  detail["best"] = best / static_cast<double>(std::max<size_t>(1, scored.size()));
}

/// Seeds and the best answers of all rounds so far; for preferences the best against a random other one.
void Pipeline::write_round_data(int64_t round, Json& detail) {
  const bool pairs = recipe_.method == "dpo";
  std::string rows = pairs ? "" : read_file(data_file("seeds"));
  int64_t count = 0;
  for (int64_t r = 1; r <= round; ++r) {
    std::map<int64_t, std::string> texts;
    for (const StoredPrompt& prompt : store_.prompts_of_round(r)) texts[prompt.id] = prompt.text;
    for (const auto& [prompt, answers] : store_.scored(r, judge_name())) {
      const auto usable = std::ranges::find_if(
          answers, [](const ScoredAnswer& a) { return a.answer.finished && !a.answer.text.empty(); });
      if (usable == answers.end()) continue;
      if (!pairs) {
        rows += row_of(texts.at(prompt), usable->answer.text);
        ++count;
        continue;
      }
      Rng rng = Rng(static_cast<uint64_t>(recipe_.seed)).split(static_cast<uint64_t>(prompt));
      const StoredAnswer& other = answers[rng.below(answers.size())].answer;
      if (other.text == usable->answer.text || other.text.empty()) continue;
      const Json row = {{"prompt", texts.at(prompt)}, {"chosen", usable->answer.text}, {"rejected", other.text}};
      rows += row.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
      ++count;
    }
  }
  if (count == 0) throw UserError("[align] no answer of this round ended by itself; raise answers.max_tokens");
  write_file_atomically(data_file(round_name(round)), rows);
  detail["rows"] = count;
}

}  // namespace tessera::align
