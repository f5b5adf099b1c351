// Rows are packed as for fine-tuning; only graded positions go through the head.
#include "models/lm/training/answer_scores.h"

#include <ATen/ops/zeros.h>

#include "nn/layers/token_loss.h"

namespace tessera::lm {

namespace {
/// The sequence of every position [R * L]; that of padding is 0.
Tensor owners(const train::PackedRows& rows) {
  Tensor owner = at::zeros_like(rows.segments);
  for (size_t r = 0; r < rows.sequences.size(); ++r) {
    const auto at = static_cast<int64_t>(r);
    const int64_t* segment = rows.segments[at].const_data_ptr<int64_t>();
    int64_t* to = owner[at].mutable_data_ptr<int64_t>();
    for (int64_t i = 0; i < rows.segments.size(1); ++i) {
      if (segment[i] < std::ssize(rows.sequences[r])) to[i] = static_cast<int64_t>(rows.sequences[r][segment[i]]);
    }
  }
  return owner.flatten();
}
}  // namespace

LmTraining AnswerRows::lm(int64_t length) const {
  return {.length = length,
          .pack = pack,
          .recompute = recompute,
          .heldout = heldout,
          .prompts = prompts,
          .prompt_tokens = prompt_tokens,
          .stored = stored};
}

Tensor AnswerScores::sums() const { return at::zeros_like(counts).index_add(0, sequence, log_probabilities); }

AnswerScores score_answers(const DecoderLm& model, const std::vector<train::Sequence>& sequences,
                           const AnswerScoring& how) {
  const train::PackedRows rows = train::packed_rows(sequences, how.room, how.pack);
  Positions positions = packed_positions(model, rows.segments.to(how.device));
  positions.recompute = how.recompute;
  const Tensor states = model.forward(model.embed(rows.ids.to(how.device)), positions).flatten(0, 1);
  const Tensor targets = rows.targets.flatten();
  const Tensor graded = (targets >= 0).nonzero().squeeze(1);
  AnswerScores scores{.sequence = owners(rows).index_select(0, graded).to(how.device), .padding = rows.padding};
  scores.log_probabilities = -nn::token_losses(states.index_select(0, graded.to(how.device)), model.head(),
                                               targets.index_select(0, graded).to(how.device), model.config.logit_cap);
  scores.counts = at::zeros({std::ssize(sequences)}, scores.log_probabilities.options())
                      .index_add(0, scores.sequence, at::ones_like(scores.log_probabilities).detach());
  return scores;
}

}  // namespace tessera::lm
