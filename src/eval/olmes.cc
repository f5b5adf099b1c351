// Documents go to the model a hundred at a time, so that what their contexts share is read once for all of them.
#include "eval/olmes.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "eval/mmlu.h"

namespace tessera::eval {

namespace {
constexpr size_t documents_at_once = 128;

size_t characters(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

/// A continuation without the blank that parts it from its context.
std::string bare(const std::string& continuation) {
  return continuation.size() > 1 && continuation[0] == ' ' ? continuation.substr(1) : continuation;
}

/// Whether the smallest of nats[c] / sizes[c] is the answer's.
bool least_is(const std::vector<double>& nats, const std::vector<double>& sizes, size_t answer) {
  size_t best = 0;
  for (size_t c = 1; c < nats.size(); ++c) {
    if (nats[c] / sizes[c] < nats[best] / sizes[best]) best = c;
  }
  return best == answer;
}

double cross_entropy(const std::vector<double>& nats, size_t answer) {
  const double least = *std::ranges::min_element(nats);
  double sum = 0;
  for (const double each : nats) sum += std::exp(least - each);
  return nats[answer] - least + std::log(sum);
}

/// The tokens of a batch of documents, conditional requests before unconditional ones.
struct Batch {
  std::vector<Writes::ScoreRequest> requests;

  void add(const Writes& model, const OlmesDocument& document, OlmesResult& result) {
    for (const auto* list : {&document.choices, &document.unconditional}) {
      for (const OlmesRequest& each : *list) {
        OlmesTokens tokens = olmes_tokens(model.tokenizer(), document.contexts[each.context], each.continuation,
                                          model.context(), document.where);
        result.truncated += tokens.truncated;
        const int64_t prompt = std::max<int64_t>(1, std::ssize(tokens.request.prompt));
        result.naive_positions += prompt + std::ssize(tokens.request.continuation) - 1;
        requests.push_back(std::move(tokens.request));
      }
    }
  }
};

std::vector<double> sums_of(const std::vector<std::vector<ScoredToken>>& scored, size_t& at, size_t count) {
  std::vector<double> nats(count);
  for (double& each : nats) {
    for (const ScoredToken& token : scored[at]) each -= token.log_probability;
    ++at;
  }
  return nats;
}

template <class Right> Share share_of(const std::vector<OlmesOutcome>& outcomes, const Right& right) {
  const auto count = std::ssize(outcomes);
  const int64_t hits = std::ranges::count_if(outcomes, right);
  return {static_cast<double>(hits) / static_cast<double>(count), wilson(hits, count)};
}

/// Means over the categories of MMLU that were asked, in place of means over questions. Intervals are left as they are.
void average_categories(const OlmesTask& task, OlmesResult& result) {
  struct Sums {
    double bpb = 0, ce = 0, right = 0, count = 0;
  };
  std::map<std::string, Sums> categories;
  for (size_t i = 0; i < task.documents.size(); ++i) {
    const OlmesOutcome& outcome = result.outcomes[i];
    Sums& sums = categories[mmlu_category(task.documents[i].group)];
    sums.bpb += outcome.ladder_bpb;
    sums.ce += outcome.ladder_ce;
    sums.right += outcome.ladder_right ? 1 : 0;
    sums.count += 1;
  }
  Sums mean;
  for (const auto& [name, sums] : categories) {
    mean.bpb += sums.bpb / sums.count;
    mean.ce += sums.ce / sums.count;
    mean.right += sums.right / sums.count;
  }
  const auto count = static_cast<double>(categories.size());
  result.ladder_bpb.mean = mean.bpb / count;
  result.ladder_ce.mean = mean.ce / count;
  result.ladder_acc.share = mean.right / count;
}

void summarise(const OlmesTask& task, OlmesResult& result) {
  std::vector<double> bpb, ladder_bpb, ce;
  std::map<std::string, std::vector<OlmesOutcome>> groups;
  for (size_t i = 0; i < result.outcomes.size(); ++i) {
    const OlmesOutcome& outcome = result.outcomes[i];
    bpb.push_back(outcome.bpb);
    ladder_bpb.push_back(outcome.ladder_bpb);
    ce.push_back(outcome.ladder_ce);
    if (!task.documents[i].group.empty()) groups[task.documents[i].group].push_back(outcome);
  }
  result.count = std::ssize(result.outcomes);
  result.bpb = mean_of(bpb);
  result.ladder_bpb = mean_of(ladder_bpb);
  result.ladder_ce = mean_of(ce);
  for (const auto& [metric, unused] : result.outcomes.front().right) {
    result.accuracies[metric] = share_of(result.outcomes, [&](const auto& each) { return each.right.at(metric); });
  }
  result.ladder_acc = share_of(result.outcomes, [](const auto& each) { return each.ladder_right; });
  for (const auto& [group, outcomes] : groups) {
    result.groups[group] = share_of(outcomes, [&](const auto& each) { return each.right.at(task.primary_metric); });
  }
  if (!groups.empty()) average_categories(task, result);
}
}  // namespace

OlmesTokens olmes_tokens(const text::Tokenizer& tokenizer, std::string context, std::string continuation,
                         int64_t longest, const std::string& where) {
  const size_t end = context.find_last_not_of(" \t\n\r\f\v") + 1;  // of npos: 0
  continuation.insert(0, context, end);
  context.resize(end);
  const text::EncodeOptions plain{.add_special = false, .parse_special = false};
  const std::vector<int32_t> whole = tokenizer.encode(context + continuation, plain);
  if (whole.empty()) throw UserError("[eval] {}: a continuation has no tokens", where);
  const auto before = std::min(std::ssize(tokenizer.encode(context, plain)), std::ssize(whole) - 1);
  OlmesTokens tokens;
  auto& prompt = tokens.request.prompt;
  auto& rest = tokens.request.continuation;
  const std::vector<int32_t> opened = tokenizer.encode(context, {.add_special = true, .parse_special = false});
  const auto begin = tokenizer.begin_token();
  if (begin && !opened.empty() && opened.front() == *begin) prompt.push_back(*begin);
  prompt.insert(prompt.end(), whole.begin(), whole.begin() + before);
  rest.assign(whole.begin() + before, whole.end());
  if (std::ssize(rest) > longest)
    throw UserError("[eval] {}: a continuation has {} tokens, the model's context is {}", where, rest.size(), longest);
  const int64_t surplus = std::ssize(prompt) + std::ssize(rest) - 1 - longest;
  if (surplus > 0) prompt.erase(prompt.begin(), prompt.begin() + surplus);
  tokens.truncated = surplus > 0;
  return tokens;
}

OlmesOutcome olmes_outcome(const OlmesDocument& document, std::vector<double> nats, std::vector<double> unconditional,
                           const std::vector<size_t>& tokens) {
  OlmesOutcome outcome{.nats = std::move(nats), .unconditional = std::move(unconditional)};
  const size_t answer = document.answer.value_or(0);
  const std::string& said = document.choices[answer].continuation;
  outcome.bpb = outcome.nats[answer] / static_cast<double>(said.size()) / std::numbers::ln2;
  outcome.ladder_bpb = outcome.nats[answer] / static_cast<double>(bare(said).size()) / std::numbers::ln2;
  if (!document.answer) return outcome;
  const size_t count = outcome.nats.size();
  std::vector<double> ones(count, 1), per_token(tokens.begin(), tokens.end()), letters, bytes, bare_letters;
  for (const OlmesRequest& choice : document.choices) {
    letters.push_back(static_cast<double>(characters(choice.continuation)));
    bytes.push_back(static_cast<double>(choice.continuation.size()));
    bare_letters.push_back(static_cast<double>(characters(bare(choice.continuation))));
  }
  outcome.right = {{"acc_raw", least_is(outcome.nats, ones, answer)},
                   {"acc_per_token", least_is(outcome.nats, per_token, answer)},
                   {"acc_per_char", least_is(outcome.nats, letters, answer)},
                   {"acc_per_byte", least_is(outcome.nats, bytes, answer)}};
  if (!outcome.unconditional.empty()) {
    std::vector<double> gained(count);
    for (size_t c = 0; c < count; ++c) gained[c] = outcome.nats[c] - outcome.unconditional[c];
    outcome.right["acc_uncond"] = least_is(gained, ones, answer);
  }
  outcome.ladder_right = least_is(outcome.nats, bare_letters, answer);
  outcome.ladder_ce = cross_entropy(outcome.nats, answer);
  return outcome;
}

OlmesResult measure_olmes(const Writes& model, const OlmesTask& task,
                          const std::function<void(int64_t done)>& on_progress) {
  OlmesResult result;
  for (size_t first = 0; first < task.documents.size(); first += documents_at_once) {
    const size_t end = std::min(first + documents_at_once, task.documents.size());
    Batch batch;
    for (size_t i = first; i < end; ++i) batch.add(model, task.documents[i], result);
    const auto scored = model.score(batch.requests, &result.positions);
    for (size_t i = first, at = 0; i < end; ++i) {
      const OlmesDocument& document = task.documents[i];
      std::vector<size_t> tokens;
      for (size_t c = 0; c < document.choices.size(); ++c) tokens.push_back(scored[at + c].size());
      std::vector<double> nats = sums_of(scored, at, document.choices.size());
      std::vector<double> unconditional = sums_of(scored, at, document.unconditional.size());
      result.outcomes.push_back(olmes_outcome(document, std::move(nats), std::move(unconditional), tokens));
    }
    if (on_progress) on_progress(static_cast<int64_t>(end));
  }
  summarise(task, result);
  return result;
}

}  // namespace tessera::eval
