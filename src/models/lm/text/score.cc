// Log probabilities of given continuations. Requests of one prompt read it once, and prompts that begin alike read what they share
// once; the head sees only the positions that predict a continuation.
#include <algorithm>
#include <map>

#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>

#include "core/error.h"
#include "models/lm/architecture/token_rows.h"
#include "models/lm/text/writes.h"
#include "nn/kernels/row_linear.h"

namespace tessera::lm {

namespace {

constexpr int64_t head_positions = 128;  // that have logits at a time
constexpr int64_t prompt_chunk = 64;     // prompts are cut, and shared, at multiples of so many positions
constexpr size_t prompts_at_once = 16;
constexpr int64_t positions_at_once = 1024;  // of continuations

/// A request with its begin token, so that every token of the continuation has something before it.
struct ScoreRow {
  std::vector<int32_t> prompt, continuation;
  double temperature = 1;
  int64_t top = 0;
  size_t request = 0;
};

ScoreRow row_of(const Writes::ScoreRequest& request, size_t number, const text::Tokenizer& tokenizer,
                const LmConfig& config) {
  ScoreRow row{request.prompt, request.continuation, request.temperature, request.top, number};
  if (row.prompt.empty()) {
    const auto begin = tokenizer.begin_token();
    if (!begin)
      throw UserError("[lm] nothing stands before what is to be scored, and the tokenizer has no begin token");
    row.prompt.push_back(*begin);
  }
  const int64_t length = std::ssize(row.prompt) + std::ssize(row.continuation);
  if (length - 1 > config.context) {
    throw UserError("[lm] prompt and continuation have {} tokens, the context is {}: {} too many", length,
                    config.context, length - config.context);
  }
  for (const auto* part : {&row.prompt, &row.continuation})
    require_rows(config, tokenizer, *part, "what is to be scored");
  return row;
}

/// What log probabilities [n, V] (CPU) say of the tokens that came, [n].
void append(std::vector<ScoredToken>& scored, const Tensor& logs, const Tensor& target, int64_t wanted) {
  const Tensor own = logs.gather(1, target.unsqueeze(1)).squeeze(1).to(at::kDouble);
  const Tensor entropy = -(logs.exp() * logs).nan_to_num(0).sum(-1).to(at::kDouble);
  const auto [most, where] = logs.max(-1);
  const Tensor top = most.exp().to(at::kDouble);
  Tensor top_logs, top_ids;
  if (wanted > 0) {
    std::tie(top_logs, top_ids) = logs.topk(std::min(wanted, logs.size(-1)));
    top_logs = top_logs.to(at::kDouble).contiguous();
    top_ids = top_ids.contiguous();
  }
  for (int64_t i = 0; i < target.numel(); ++i) {
    const int64_t id = target.const_data_ptr<int64_t>()[i], best = where.const_data_ptr<int64_t>()[i];
    scored.push_back({.id = static_cast<int32_t>(id),
                      .log_probability = own.const_data_ptr<double>()[i],
                      .greedy = best == id,
                      .entropy = entropy.const_data_ptr<double>()[i],
                      .top_probability = top.const_data_ptr<double>()[i],
                      .most_likely = static_cast<int32_t>(best)});
    const int64_t told = present(top_ids) ? top_ids.size(1) : 0;
    for (int64_t k = i * told; k < (i + 1) * told; ++k)
      scored.back().top.emplace_back(static_cast<int32_t>(top_ids.const_data_ptr<int64_t>()[k]),
                                     top_logs.const_data_ptr<double>()[k]);
  }
}

/// Scores of tokens given the hidden states [n, C] that predict them. Few take the head row by row, many as a product of their own.
std::vector<ScoredToken> scored_tokens(const DecoderLm& model, const Tensor& hidden, const ScoreRow& row) {
  std::vector<ScoredToken> scored;
  const Tensor targets = at::tensor(std::vector<int64_t>(row.continuation.begin(), row.continuation.end()), at::kLong);
  for (int64_t begin = 0; begin < targets.numel(); begin += head_positions) {
    const int64_t count = std::min(head_positions, targets.numel() - begin);
    const nn::RowByRow guard(count < nn::BlockCache::long_piece);
    const Tensor logits = model.logits(hidden.narrow(0, begin, count)) / row.temperature;
    append(scored, at::log_softmax(logits, -1).cpu(), targets.narrow(0, begin, count), row.top);
  }
  return scored;
}

using Group = std::vector<const ScoreRow*>;  // rows of one prompt

/// Joins the prompts of some groups, all but the last token of each, and scores every continuation on a fork of its own.
void score_groups(LmSteps& steps, const DecoderLm& model, std::span<const Group> groups,
                  std::vector<std::vector<ScoredToken>>& scored) {
  // The prompt's last token is read together with the continuation, so that its hidden state is at hand.
  std::vector<generate::Prompt> prompts;
  std::vector<std::pair<size_t, const ScoreRow*>> wanted;  // which prompt a row goes on from; no_prompt: from nothing
  constexpr size_t no_prompt = ~size_t{0};
  for (const Group& group : groups) {
    const auto& prompt = group.front()->prompt;
    const bool alone = prompt.size() == 1;
    if (!alone) prompts.push_back({.ids = {prompt.begin(), prompt.end() - 1}});
    for (const ScoreRow* row : group) wanted.emplace_back(alone ? no_prompt : prompts.size() - 1, row);
  }
  std::vector<const generate::Prompt*> joining;
  for (const generate::Prompt& prompt : prompts) joining.push_back(&prompt);
  if (!joining.empty()) steps.join(joining);
  std::vector<size_t> kept(prompts.size());
  for (size_t p = 0; p < kept.size(); ++p) kept[p] = p;
  for (size_t first = 0, end = 0; first < wanted.size(); first = end) {
    std::vector<std::vector<int32_t>> ids(prompts.size());
    for (int64_t fed = 0; end < wanted.size() && (end == first || fed < positions_at_once); ++end) {
      const auto& [prompt, row] = wanted[end];
      if (prompt == no_prompt) steps.add();
      else steps.fork(prompt, steps.length(prompt));
      auto& own = ids.emplace_back(1, row->prompt.back());
      own.insert(own.end(), row->continuation.begin(), row->continuation.end() - 1);
      fed += std::ssize(own);
    }
    const std::vector<Tensor> hidden = steps.read(ids);
    for (size_t i = first; i < end; ++i) {
      const ScoreRow& row = *wanted[i].second;
      scored[row.request] = scored_tokens(model, hidden[prompts.size() + i - first], row);
    }
    steps.keep(kept);
  }
  steps.keep({});
}

}  // namespace

std::vector<std::vector<ScoredToken>> LmWriter::score(const std::vector<ScoreRequest>& requests,
                                                      int64_t* positions) const {
  const c10::InferenceMode inference;
  std::vector<ScoreRow> rows;
  for (size_t i = 0; i < requests.size(); ++i) {
    if (requests[i].continuation.empty()) continue;  // nothing to score
    rows.push_back(row_of(requests[i], i, *parts_.tokenizer, parts_.model.config));
  }
  std::map<std::vector<int32_t>, Group>
      by_prompt;  // in the order of ids, so that prompts that begin alike are neighbours
  for (const ScoreRow& row : rows) by_prompt[row.prompt].push_back(&row);
  std::vector<Group> groups;
  for (auto& [prompt, group] : by_prompt) groups.push_back(std::move(group));

  DecodeOptions decode = parts_.decode;
  decode.chunk = prompt_chunk;
  LmSteps steps(parts_.model, decode);
  std::vector<std::vector<ScoredToken>> scored(requests.size());
  for (size_t first = 0; first < groups.size(); first += prompts_at_once) {
    const size_t count = std::min(prompts_at_once, groups.size() - first);
    score_groups(steps, parts_.model, std::span(groups).subspan(first, count), scored);
  }
  if (positions != nullptr) *positions += steps.positions();
  return scored;
}

Tensor LmWriter::represent(const std::vector<std::string>& texts) const {
  const at::NoGradGuard no_grad;
  LmSteps steps(parts_.model, parts_.decode);
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& text : texts) {
    ids.push_back(text::encode_prompt(*parts_.tokenizer, text));
    if (ids.back().empty()) throw UserError("[lm] a text of no tokens has no representation");
    require_rows(parts_.model.config, *parts_.tokenizer, ids.back(), "a text");
    ids.back().resize(std::min(ids.back().size(), static_cast<size_t>(context())));
    steps.add();
  }
  std::vector<Tensor> means;
  for (const Tensor& states : steps.read(ids)) means.push_back(states.to(at::kCPU, at::kFloat).mean(0));
  return at::stack(means);
}

}  // namespace tessera::lm
