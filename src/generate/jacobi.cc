// Every row reads its last id and its guesses; what the right logits confirm is taken, the rest is taken back and guessed again.
#include "generate/jacobi.h"

#include <algorithm>

#include "core/error.h"

namespace tessera::generate {

namespace {

/// A sequence and the ids that are guessed to come after the last one it took.
struct GuessedRow {
  Sequence* sequence;
  std::vector<int32_t> guesses = {};
  int64_t passes = 0;  // since the window's first id was taken
};

Tensor logits_for(const Tensor& row, const Sequence& sequence) {
  const int64_t counted = sequence.options().vocabulary;
  const Tensor logits = counted > 0 ? row.narrow(0, 0, std::min(row.size(0), counted)) : row;
  return logits.to(at::kCPU, at::kFloat, false, /*copy=*/true).contiguous();
}

/// What a pass reads of a row.
std::vector<int32_t> window_of(const GuessedRow& row, int64_t most) {
  const auto count = static_cast<size_t>(std::clamp<int64_t>(row.sequence->left(), 1, most));
  std::vector<int32_t> ids{row.sequence->new_ids().back()};
  for (size_t i = 0; i < row.guesses.size() && ids.size() < count; ++i) ids.push_back(row.guesses[i]);
  return ids;
}

/// Guesses what follows the ids of a row: what is recalled, and beyond that what `logits` [L, V] give, those from `from` on and then the last ones.
void guess_on(GuessedRow& row, const Tensor& logits, int64_t from, int64_t window, const Recall& recall) {
  Sequence& sequence = *row.sequence;
  row.guesses.clear();
  const int64_t wanted = std::min(window, sequence.left()) - 1;
  if (sequence.finished() || wanted < 1) return;
  if (recall) row.guesses = recall(sequence, wanted);
  for (int64_t i = std::ssize(row.guesses); i < wanted; ++i) {
    const int64_t at = std::min(from + i, logits.size(0) - 1);
    row.guesses.push_back(sequence.guess(logits_for(logits[at], sequence), static_cast<size_t>(i)));
  }
}

/// Takes what `logits` [L, V] say follows each of `ids`, up to the first guess that is wrong; returns how many of `ids` stay.
size_t take(GuessedRow& row, const std::vector<int32_t>& ids, const Tensor& logits, const JacobiOptions& options,
            JacobiCounts& counts) {
  Sequence& sequence = *row.sequence;
  const bool settles = options.settle > 0 && ++row.passes >= options.settle;
  size_t kept = 0;
  bool right = true;
  while (right && !sequence.finished() && kept < ids.size()) {
    int32_t id = sequence.draw(logits_for(logits[static_cast<int64_t>(kept)], sequence));
    ++kept;
    right = kept < ids.size() && id == ids[kept];
    if (settles && kept < ids.size() && !right) {
      id = ids[kept];
      right = true;
      ++counts.settled;
    }
    sequence.take(id);
    ++counts.ids;
  }
  if (kept > 1 || settles) row.passes = 0;
  return kept;
}

}  // namespace

JacobiCounts run_jacobi(TokenSteps& steps, std::span<Sequence* const> sequences, const JacobiOptions& options,
                        const std::function<bool(int64_t ids)>& on_step, const Recall& recall) {
  if (options.window < 1) throw UserError("[generate] the window is {}, want at least 1", options.window);
  if (options.settle < 0) throw UserError("[generate] settle is {}, want at least 0 (never)", options.settle);
  JacobiCounts counts;
  if (sequences.empty()) return counts;
  std::vector<const Prompt*> prompts;
  std::vector<GuessedRow> rows;
  for (Sequence* sequence : sequences) {
    prompts.push_back(&sequence->prompt());
    rows.push_back({sequence});
  }
  const Tensor first = steps.join(prompts);
  ++counts.passes;
  for (size_t r = 0; r < rows.size(); ++r) {
    Sequence& sequence = *rows[r].sequence;
    const Tensor logits = first[static_cast<int64_t>(r)];
    sequence.take(sequence.draw(logits_for(logits, sequence)));
    ++counts.ids;
    guess_on(rows[r], logits.unsqueeze(0), 0, options.window, recall);
  }
  while (true) {
    if (on_step && !on_step(counts.ids)) {
      for (GuessedRow& row : rows) row.sequence->finish(StopReason::caller);
    }
    std::vector<size_t> staying;
    std::vector<GuessedRow> left;
    for (size_t r = 0; r < rows.size(); ++r) {
      if (rows[r].sequence->finished()) continue;
      staying.push_back(r);
      left.push_back(std::move(rows[r]));
    }
    if (staying.size() < rows.size()) steps.keep(staying);
    rows = std::move(left);
    if (rows.empty()) return counts;

    std::vector<std::vector<int32_t>> windows;
    std::vector<int64_t> before;
    for (size_t r = 0; r < rows.size(); ++r) {
      windows.push_back(window_of(rows[r], options.window));
      before.push_back(steps.length(r));
    }
    const Tensor logits = steps.verify(windows);
    ++counts.passes;
    int64_t from = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      const int64_t count = std::ssize(windows[r]);
      const Tensor seen = logits.narrow(0, from, count);
      const size_t kept = take(rows[r], windows[r], seen, options, counts);
      guess_on(rows[r], seen, static_cast<int64_t>(kept), options.window, recall);
      from += count;
      if (std::cmp_less(kept, count)) steps.rewind(r, before[r] + static_cast<int64_t>(kept));
    }
  }
}

}  // namespace tessera::generate
