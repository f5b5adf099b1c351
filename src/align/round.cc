// What a round does: prompts, answers, and the rows that the next model learns.
#include <algorithm>

#include "align/endpoint.h"
#include "align/export.h"
#include "align/pipeline_run.h"
#include "align/synthesis.h"
#include "align/writer.h"
#include "core/error.h"
#include "core/json.h"
#include "core/rng.h"

namespace tessera::align {

namespace {
constexpr size_t answers_in_a_transaction = 64;

/// Answers on their way to the store, some at a time; what has come is stored also when the rest does not.
class AnswerBatch {
 public:
  explicit AnswerBatch(Store& store) : store_(store) {}
  void add(StoredAnswer answer) {
    ready_.push_back(std::move(answer));
    if (ready_.size() >= answers_in_a_transaction) flush();
  }
  void flush() {
    store_.add_answers(ready_);
    ready_.clear();
  }

 private:
  Store& store_;
  std::vector<StoredAnswer> ready_;
};
}  // namespace

void Pipeline::run_round(int64_t round) {
  const std::string name = fmt::format("round {}", round);
  step(name + ": prompts", [&](Json& detail) {
    if (store_.prompts_of_round(round).empty())
      store_.use_prompts(choose_prompts(store_, round, recipe_.answers.prompts, recipe_.prompts.diversified,
                                        static_cast<uint64_t>(recipe_.seed)),
                         round);
    detail["prompts"] = recipe_.answers.prompts;
  });
  step(name + ": answers",
       [&](Json& detail) { write_answers(round, recipe_.answers.samples, models_of(round), detail); });
  step(name + ": scores", [&](Json& detail) { score_answers(round, judge_name(recipe_), detail); });
  step(name + ": data", [&](Json& detail) { write_round_data(round, detail); });
  step(name + ": training", [&](Json& detail) {
    if (recipe_.method == "dpo")
      train_on(round_name(round), model_dir(sft_name(0)), data_file(round_name(round)), recipe_.dpo, "preference",
               recipe_.seed, detail);
    else train_sft(round_name(round), data_file(round_name(round)), recipe_.seed, detail);
  });
}

/// The models tuned on the seeds, from the second round on the model of the round before, and the servers.
std::vector<std::string> Pipeline::models_of(int64_t round) const {
  std::vector<std::string> models;
  for (int64_t i = 0; i < recipe_.answers.sft_models; ++i) models.push_back(sft_name(i));
  if (recipe_.answers.latest && round > 1) models.push_back(round_name(round - 1));
  if (!recipe_.answers.endpoints.empty()) models.push_back(elsewhere);
  return models;
}

/// Answers of a model that the store lacks, each with its seed and, as text, its prompt.
std::vector<StoredAnswer> Pipeline::missing_answers(int64_t round, const std::string& model, int64_t own) const {
  const Rng rng =
      Rng(static_cast<uint64_t>(recipe_.seed)).split(hash_text(model)).split(static_cast<uint64_t>(round + 2));
  std::vector<StoredAnswer> wanted;
  for (const StoredPrompt& prompt : store_.prompts_of_round(round)) {
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
  return wanted;
}

/// What is missing of each model's share; the first models take what cannot be divided.
void Pipeline::write_answers(int64_t round, int64_t samples, const std::vector<std::string>& models, Json& detail) {
  const auto share = static_cast<int64_t>(models.size());
  int64_t done = store_.count_answers(round);
  StepProgress bar = progress("answers", std::ssize(store_.prompts_of_round(round)) * samples, "answers", done);
  for (int64_t m = 0; m < share; ++m) {
    const std::string& model = models[static_cast<size_t>(m)];
    const std::vector<StoredAnswer> wanted =
        missing_answers(round, model, samples / share + (m < samples % share ? 1 : 0));
    if (wanted.empty()) continue;
    AnswerBatch batch(store_);
    const Keep keep = [&](StoredAnswer answer) {
      batch.add(std::move(answer));
      bar.update(++done);
    };
    try {
      if (model == elsewhere) write_elsewhere(wanted, keep);
      else write_locally(model, wanted, keep);
    } catch (const FaultError&) {
      batch.flush();  // servers that are lost have answered others before
      throw;
    }
    batch.flush();
    if (InterruptGuard::raised()) throw Interrupted();
  }
  bar.finish();
  detail["answers"] = store_.count_answers(round);
  detail["tokens"] = store_.count_tokens(round);
}

/// `wanted` have their prompts as texts.
void Pipeline::write_locally(const std::string& name, const std::vector<StoredAnswer>& wanted, const Keep& keep) {
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
              keep(std::move(answer));
              return !InterruptGuard::raised();
            });
}

void Pipeline::write_elsewhere(const std::vector<StoredAnswer>& wanted, const Keep& keep) {
  std::vector<EndpointJob> jobs;
  for (const StoredAnswer& each : wanted) {
    Json body = chat_body(each.text);
    body["max_tokens"] = recipe_.answers.max_tokens;
    body["temperature"] = recipe_.answers.temperature;
    body["top_p"] = recipe_.answers.top_p;
    body["seed"] = each.seed >> 33;
    jobs.push_back({.body = std::move(body), .key = jobs.size()});
  }
  ask_endpoints(
      recipe_.answers.endpoints, std::move(jobs),
      [&](const EndpointAnswer& given, bool last_try) {
        StoredAnswer answer = wanted[given.key];
        answer.text = chat_words(given.body);
        if (answer.text.empty() && !last_try) return false;
        answer.finished = given.body["choices"][0].value("finish_reason", Json()) == "stop";
        answer.tokens = completion_tokens(given.body);
        keep(std::move(answer));
        return true;
      },
      [] { return InterruptGuard::raised(); });
}

/// Seeds and the best answers of all rounds so far; for preferences the best against others.
void Pipeline::write_round_data(int64_t round, Json& detail) {
  const bool pairs = recipe_.method == "dpo";
  std::string rows = pairs ? "" : read_file(data_file("seeds"));
  int64_t count = 0;
  for (int64_t r = 1; r <= round; ++r)
    each_best_row(store_, r, judge_name(recipe_), pairs ? BestForm::pairs : BestForm::conversations,
                  static_cast<uint64_t>(recipe_.seed), [&](const std::string& row) {
                    rows += row;
                    ++count;
                  });
  if (count == 0)
    throw UserError(
        "[align] no answer of {} rounds can be learned from: none ended by itself{}; raise answers.max_tokens", round,
        pairs ? " with another one behind it" : "");
  write_file_atomically(data_file(round_name(round)), rows);
  detail["rows"] = count;
}

}  // namespace tessera::align
