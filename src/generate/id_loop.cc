// Draws an id for every row, drops the rows that are finished, asks for the next logits.
#include "generate/id_loop.h"

#include <algorithm>
#include <exception>
#include <memory>

#include "core/error.h"
#include "generate/ngram_guess.h"

namespace tessera::generate {

namespace {

/// Goes on with the id that `next` gives. A fault there is the row's own and ends it alone; the id is then any.
template <class Next> int32_t go_on(Sequence& row, const Next& next) {
  try {
    const int32_t id = next();
    row.take(id);
    return id;
  } catch (...) {
    row.fail(std::current_exception());
    return 0;
  }
}

}  // namespace

TokenSteps::Ahead TokenSteps::read_ahead(const Prompt& prompt, int64_t /*most*/) { return {.left = prompt.length()}; }

void IdLoop::join(std::span<Sequence* const> sequences) {
  if (sequences.empty()) return;
  std::vector<const Prompt*> prompts;
  for (const Sequence* sequence : sequences) prompts.push_back(&sequence->prompt());
  const Tensor logits = steps_->join(prompts);
  rows_.insert(rows_.end(), sequences.begin(), sequences.end());
  draw(logits, sequences);
}

/// An id for each of `rows`. On another device than the CPU, plainly greedy ones are searched together there.
void IdLoop::draw(const Tensor& logits, std::span<Sequence* const> rows) {
  TORCH_INTERNAL_ASSERT(logits.dim() == 2 && logits.size(0) == std::ssize(rows), "logits [B, V] of every row");
  const auto counted = [&](const Sequence& s) {
    return s.options().vocabulary > 0 ? std::min(logits.size(1), s.options().vocabulary) : logits.size(1);
  };
  const bool greedy = std::ranges::any_of(rows, [](const Sequence* s) { return s->greedy(); });
  const bool alike =
      std::ranges::all_of(rows, [&](const Sequence* s) { return counted(*s) == counted(*rows.front()); });
  Tensor largest, where;
  if (greedy && alike && !logits.is_cpu()) {
    const auto [most, at] = logits.narrow(1, 0, counted(*rows.front())).max(-1);
    largest = most.to(at::kCPU, at::kFloat).contiguous();
    where = at.cpu().contiguous();
  }
  for (size_t r = 0; r < rows.size(); ++r) {
    Sequence& row = *rows[r];
    const auto index = static_cast<int64_t>(r);
    last_.push_back(go_on(row, [&] {
      if (row.greedy() && present(where)) {
        require_finite(largest.const_data_ptr<float>()[index]);
        return static_cast<int32_t>(where.const_data_ptr<int64_t>()[index]);
      }
      const Tensor own = logits[index].narrow(0, 0, counted(row));
      return row.greedy() ? argmax_token(own)
                          : row.draw(own.to(at::kCPU, at::kFloat, false, /*copy=*/true).contiguous());
    }));
  }
  drawn_ += std::ssize(rows);
}

void IdLoop::leave() {
  std::vector<size_t> staying;
  for (size_t r = 0; r < rows_.size(); ++r) {
    if (!rows_[r]->finished()) staying.push_back(r);
  }
  if (staying.size() == rows_.size()) return;
  steps_->keep(staying);
  for (size_t r = 0; r < staying.size(); ++r) {
    rows_[r] = rows_[staying[r]];
    last_[r] = last_[staying[r]];
  }
  rows_.resize(staying.size());
  last_.resize(staying.size());
}

bool IdLoop::step() {
  leave();
  if (rows_.empty()) return false;
  const Tensor logits = steps_->next(last_);
  last_.clear();
  draw(logits, rows_);
  return true;
}

bool IdLoop::step(NgramGuess& guess) {
  leave();
  if (rows_.empty()) return false;
  std::vector<std::vector<int32_t>> ids;
  bool any = false;
  for (size_t r = 0; r < rows_.size(); ++r) {
    ids.push_back({last_[r]});
    std::vector<int32_t> next = guess(*rows_[r]);
    next.resize(std::min(next.size(), static_cast<size_t>(rows_[r]->left() - 1)));  // the last id is not read
    ids.back().insert(ids.back().end(), next.begin(), next.end());
    any = any || ids.back().size() > 1;
  }
  if (!any) return step();
  check(steps_->verify(ids), ids, guess);
  return true;
}

/// Draws after each id of a row as long as it is the next one of the guess; takes back what was read in vain. `logits` [T, V]: of what follows
/// each id, row after row.
void IdLoop::check(const Tensor& logits, const std::vector<std::vector<int32_t>>& ids, NgramGuess& guess) {
  int64_t at = 0;
  for (size_t r = 0; r < rows_.size(); ++r) {
    Sequence& row = *rows_[r];
    const auto guessed = std::ssize(ids[r]) - 1;
    const int64_t before = steps_->length(r) - guessed - 1;
    int64_t right = 0;
    for (int64_t i = 0;; ++i) {
      const Tensor& next = logits[at + i];
      const int64_t counted =
          row.options().vocabulary > 0 ? std::min(next.size(0), row.options().vocabulary) : next.size(0);
      last_[r] = go_on(row, [&] {
        return row.draw(next.narrow(0, 0, counted).to(at::kCPU, at::kFloat, false, /*copy=*/true).contiguous());
      });
      ++drawn_;
      if (row.finished() || i == guessed || ids[r][static_cast<size_t>(i) + 1] != last_[r]) break;
      ++right;
    }
    if (guessed > 0) guess.learn(row, guessed, right);
    if (right < guessed) steps_->rewind(r, before + 1 + right);
    at += guessed + 1;
  }
}

void run(TokenSteps& steps, std::span<Sequence* const> sequences, const std::function<bool(int64_t ids)>& on_step) {
  IdLoop loop(steps);
  loop.join(sequences);
  while (!loop.running().empty()) {
    if (on_step && !on_step(loop.drawn())) {
      for (Sequence* row : loop.running()) row->finish(StopReason::caller);
    }
    if (!loop.step()) break;
  }
  for (const Sequence* row : sequences) row->require_sound();
}

std::vector<std::vector<int32_t>> continue_greedily(TokenSteps& steps, const std::vector<std::vector<int32_t>>& prompts,
                                                    const SequenceOptions& options) {
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::vector<Sequence*> rows;
  for (const auto& prompt : prompts) {
    sequences.push_back(std::make_unique<Sequence>(Prompt{.ids = prompt}, options));
    rows.push_back(sequences.back().get());
  }
  run(steps, rows);
  std::vector<std::vector<int32_t>> continued;
  for (const auto& sequence : sequences) continued.push_back(sequence->new_ids());
  return continued;
}

}  // namespace tessera::generate
