// Requests go to the model some hundred at a time; everything else is arithmetic on their log probabilities.
#include "eval/choice.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace tessera::eval {

namespace {
constexpr size_t kRowsAtOnce = 64;

double nats_of(const std::vector<ScoredToken>& tokens) {
  double nats = 0;
  for (const ScoredToken& token : tokens) nats -= token.log_probability;
  return nats;
}

size_t smallest(const std::vector<double>& values) {
  return static_cast<size_t>(std::min_element(values.begin(), values.end()) - values.begin());
}

ChoiceOutcome outcome_of(const ChoiceRow& row, std::vector<double> nats) {
  ChoiceOutcome outcome{.nats = std::move(nats)};
  std::vector<double> per_byte;
  for (size_t c = 0; c < row.choices.size(); ++c)
    per_byte.push_back(outcome.nats[c] / static_cast<double>(row.choices[c].size()));
  outcome.right = smallest(outcome.nats) == row.answer;
  outcome.right_norm = smallest(per_byte) == row.answer;
  outcome.bpb = per_byte[row.answer] / std::numbers::ln2;
  const double least = *std::min_element(outcome.nats.begin(), outcome.nats.end());
  double sum = 0;
  for (const double each : outcome.nats) sum += std::exp(least - each);
  outcome.ce = outcome.nats[row.answer] - least + std::log(sum);
  return outcome;
}

void require_room(const Writes& model, const Writes::ScoreRequest& request, const ChoiceRow& row) {
  const int64_t length = std::ssize(request.prompt) + std::ssize(request.continuation);
  if (length - 1 > model.context()) {
    throw UserError("[eval] {}: question and choice have {} tokens, the context is {}: {} too many; take fewer shots",
                    row.where, length, model.context(), length - 1 - model.context());
  }
}
}  // namespace

Writes::ScoreRequest score_request(const text::Tokenizer& tokenizer, const std::string& prompt,
                                   const std::string& continuation) {
  const text::EncodeOptions plain{.add_special = false, .parse_special = false};
  const std::vector<int32_t> before = tokenizer.encode(prompt, plain),
                             whole = tokenizer.encode(prompt + continuation, plain);
  const auto [seam, unused] = std::mismatch(before.begin(), before.end(), whole.begin(), whole.end());
  const auto shared = std::max<std::ptrdiff_t>(0, std::min(seam - before.begin(), std::ssize(whole) - 1));
  Writes::ScoreRequest request;
  const std::vector<int32_t> opened = tokenizer.encode(prompt, {.add_special = true, .parse_special = false});
  const auto begin = tokenizer.begin_token();
  if (begin && !opened.empty() && opened.front() == *begin) request.prompt.push_back(*begin);
  request.prompt.insert(request.prompt.end(), whole.begin(), whole.begin() + shared);
  request.continuation.assign(whole.begin() + shared, whole.end());
  return request;
}

ChoiceResult measure_choice(const Writes& model, const ChoiceTask& task) {
  if (task.shots < 0 || task.shots > std::ssize(task.examples))
    throw UserError("[eval] {} shots are asked for, {} solved examples are there", task.shots, task.examples.size());
  ChoiceResult result{.count = std::ssize(task.rows)};
  for (size_t first = 0; first < task.rows.size(); first += kRowsAtOnce) {
    const size_t end = std::min(first + kRowsAtOnce, task.rows.size());
    std::vector<Writes::ScoreRequest> requests;
    for (size_t i = first; i < end; ++i) {
      const std::string prompt = with_examples(task.rows[i], task.examples, task.shots);
      for (const std::string& choice : task.rows[i].choices) {
        requests.push_back(score_request(model.tokenizer(), prompt, " " + choice));
        require_room(model, requests.back(), task.rows[i]);
      }
    }
    const auto scored = model.score(requests, &result.positions);
    for (size_t i = first, at = 0; i < end; ++i) {
      std::vector<double> nats;
      for (size_t c = 0; c < task.rows[i].choices.size(); ++c) nats.push_back(nats_of(scored[at++]));
      result.outcomes.push_back(outcome_of(task.rows[i], std::move(nats)));
    }
    if (task.on_progress) task.on_progress(static_cast<int64_t>(end));
  }
  int64_t right = 0, right_norm = 0;
  std::vector<double> bpb, ce;
  for (const ChoiceOutcome& outcome : result.outcomes) {
    right += outcome.right;
    right_norm += outcome.right_norm;
    bpb.push_back(outcome.bpb);
    ce.push_back(outcome.ce);
  }
  const auto count = static_cast<double>(result.count);
  result.acc = static_cast<double>(right) / count;
  result.acc_norm = static_cast<double>(right_norm) / count;
  result.acc_interval = wilson(right, result.count);
  result.acc_norm_interval = wilson(right_norm, result.count);
  result.bpb = mean_of(bpb);
  result.ce = mean_of(ce);
  return result;
}

}  // namespace tessera::eval
