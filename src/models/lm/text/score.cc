// Log probabilities of given continuations. Rows are padded on the right, where causal attention never looks, so that
// the pass needs no mask; the head sees only the positions that predict a continuation.
#include <algorithm>

#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "core/error.h"
#include "models/lm/text/writes.h"

namespace tessera::lm {

namespace {

constexpr int64_t kHeadPositions = 128;  // that have logits at a time

/// A request with its begin token, so that every token of the continuation has something before it.
struct ScoreRow {
  std::vector<int32_t> tokens;
  size_t begin = 0;  // of the continuation
  double temperature = 1;
};

ScoreRow row_of(const Writes::ScoreRequest& request, const text::Tokenizer& tokenizer, const LmConfig& config) {
  ScoreRow row{.tokens = request.prompt, .temperature = request.temperature};
  if (row.tokens.empty()) {
    const auto begin = tokenizer.begin_token();
    if (!begin)
      throw UserError("[lm] nothing stands before what is to be scored, and the tokenizer has no begin token");
    row.tokens.push_back(*begin);
  }
  row.begin = row.tokens.size();
  row.tokens.insert(row.tokens.end(), request.continuation.begin(), request.continuation.end());
  const int64_t length = std::ssize(row.tokens);
  if (length - 1 > config.context) {
    throw UserError("[lm] prompt and continuation have {} tokens, the context is {}: {} too many", length,
                    config.context, length - config.context);
  }
  for (const int32_t id : row.tokens) {
    if (id < 0 || id >= config.vocabulary)
      throw UserError("[lm] token id {} to be scored is out of range, want 0 to {}", id, config.vocabulary - 1);
  }
  return row;
}

/// Rows that go through the model together, padded on the right: ids [B, L], and of every token to be scored the flat
/// position [n] that predicts it, its id [n] and its row's temperature [n], row after row.
struct ScoreBatch {
  Tensor ids, positions, targets, temperatures;
};

ScoreBatch batch_of(const std::vector<const ScoreRow*>& rows) {
  const int64_t length = std::ssize(rows.front()->tokens) - 1;  // of the longest; the last token is predicted, not read
  ScoreBatch batch{.ids = at::zeros({std::ssize(rows), length}, at::kLong)};
  std::vector<int64_t> positions, targets;
  std::vector<float> temperatures;
  for (size_t r = 0; r < rows.size(); ++r) {
    const int64_t from = static_cast<int64_t>(r) * length;
    const auto& tokens = rows[r]->tokens;
    std::copy(tokens.begin(), tokens.end() - 1, batch.ids.mutable_data_ptr<int64_t>() + from);
    for (size_t t = rows[r]->begin; t < tokens.size(); ++t) {
      positions.push_back(from + static_cast<int64_t>(t) - 1), targets.push_back(tokens[t]);
      temperatures.push_back(static_cast<float>(rows[r]->temperature));
    }
  }
  batch.positions = at::tensor(positions), batch.targets = at::tensor(targets);
  batch.temperatures = at::tensor(temperatures);
  return batch;
}

/// What log probabilities [n, V] (CPU) say of the tokens that came, [n].
void append(std::vector<ScoredToken>& scored, const Tensor& logs, const Tensor& target) {
  const Tensor own = logs.gather(1, target.unsqueeze(1)).squeeze(1).to(at::kDouble);
  const Tensor entropy = -(logs.exp() * logs).nan_to_num(0).sum(-1).to(at::kDouble);
  const auto [most, where] = logs.max(-1);
  const Tensor top = most.exp().to(at::kDouble);
  for (int64_t i = 0; i < target.numel(); ++i) {
    const int64_t id = target.const_data_ptr<int64_t>()[i], best = where.const_data_ptr<int64_t>()[i];
    scored.push_back({.id = static_cast<int32_t>(id),
                      .log_probability = own.const_data_ptr<double>()[i],
                      .greedy = best == id,
                      .entropy = entropy.const_data_ptr<double>()[i],
                      .top_probability = top.const_data_ptr<double>()[i],
                      .most_likely = static_cast<int32_t>(best)});
  }
}

std::vector<ScoredToken> scored_tokens(const DecoderLm& model, const ScoreBatch& batch, at::Device device) {
  const Tensor hidden =
      model.forward(model.embed(batch.ids.to(device)), positions_of(model.config, 0, batch.ids.size(1), {}, device));
  const Tensor flat = hidden.flatten(0, 1);  // [B * L, C]
  std::vector<ScoredToken> scored;
  for (int64_t begin = 0; begin < batch.targets.numel(); begin += kHeadPositions) {
    const int64_t count = std::min(kHeadPositions, batch.targets.numel() - begin);
    const Tensor target = batch.targets.narrow(0, begin, count);
    const Tensor logits = model.logits(flat.index_select(0, batch.positions.narrow(0, begin, count).to(device))) /
                          batch.temperatures.narrow(0, begin, count).to(device).unsqueeze(1);
    append(scored, at::log_softmax(logits, -1).cpu(), target);
  }
  return scored;
}

}  // namespace

std::vector<std::vector<ScoredToken>> LmWriter::score(const std::vector<ScoreRequest>& requests) const {
  const c10::InferenceMode inference;
  const at::Device device = parts_.model.embed_tokens.device();
  std::vector<ScoreRow> rows;
  for (const ScoreRequest& request : requests) rows.push_back(row_of(request, *parts_.tokenizer, parts_.model.config));
  std::vector<size_t> order;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].tokens.size() > rows[i].begin) order.push_back(i);  // the others have nothing to score
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return rows[a].tokens.size() > rows[b].tokens.size(); });

  std::vector<std::vector<ScoredToken>> scored(rows.size());
  for (size_t first = 0; first < order.size();) {
    std::vector<const ScoreRow*> together;
    const int64_t length = std::ssize(rows[order[first]].tokens);
    const auto most = static_cast<size_t>(std::max<int64_t>(parts_.score_tokens / length, 1));
    const size_t end = std::min(first + most, order.size());
    for (size_t i = first; i < end; ++i) together.push_back(&rows[order[i]]);
    const std::vector<ScoredToken> all = scored_tokens(parts_.model, batch_of(together), device);
    for (auto from = all.begin(); first < end; ++first) {
      const ScoreRow& row = rows[order[first]];
      const auto count = static_cast<std::ptrdiff_t>(row.tokens.size() - row.begin);
      scored[order[first]].assign(from, from + count);
      from += count;
    }
  }
  return scored;
}

}  // namespace tessera::lm
