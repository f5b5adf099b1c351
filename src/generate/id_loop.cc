// Draws an id for every row, drops the rows that are finished, asks for the next logits.
#include "generate/id_loop.h"

#include <algorithm>
#include <memory>

#include "core/error.h"

namespace tessera::generate {

TokenSteps::Ahead TokenSteps::read_ahead(const Prompt& prompt, int64_t /*most*/) { return {.left = prompt.length()}; }

void IdLoop::join(std::span<Sequence* const> sequences) {
  if (sequences.empty()) return;
  std::vector<const Prompt*> prompts;
  for (const Sequence* sequence : sequences) prompts.push_back(&sequence->prompt());
  const Tensor logits = steps_->join(prompts);
  rows_.insert(rows_.end(), sequences.begin(), sequences.end());
  draw(logits, sequences);
}

/// An id for each of `rows`. Plainly greedy ones are searched together, on the model's device.
void IdLoop::draw(const Tensor& logits, std::span<Sequence* const> rows) {
  TORCH_INTERNAL_ASSERT(logits.dim() == 2 && logits.size(0) == std::ssize(rows), "logits [B, V] of every row");
  const auto counted = [&](const Sequence& s) {
    return s.options().vocabulary > 0 ? std::min(logits.size(1), s.options().vocabulary) : logits.size(1);
  };
  const bool greedy = std::ranges::any_of(rows, [](const Sequence* s) { return s->greedy(); });
  const bool alike =
      std::ranges::all_of(rows, [&](const Sequence* s) { return counted(*s) == counted(*rows.front()); });
  Tensor largest, where;
  if (greedy && alike) {
    const auto [most, at] = logits.narrow(1, 0, counted(*rows.front())).max(-1);
    largest = most.to(at::kCPU, at::kFloat).contiguous();
    where = at.cpu().contiguous();
  }
  for (size_t r = 0; r < rows.size(); ++r) {
    Sequence& row = *rows[r];
    const auto index = static_cast<int64_t>(r);
    int32_t id = 0;
    if (row.greedy() && present(where)) {
      require_finite(largest.const_data_ptr<float>()[index]);
      id = static_cast<int32_t>(where.const_data_ptr<int64_t>()[index]);
    } else {
      id = row.draw(
          logits[index].narrow(0, 0, counted(row)).to(at::kCPU, at::kFloat, false, /*copy=*/true).contiguous());
    }
    row.take(id);
    last_.push_back(id);
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

void run(TokenSteps& steps, std::span<Sequence* const> sequences, const std::function<bool(int64_t ids)>& on_step) {
  IdLoop loop(steps);
  loop.join(sequences);
  while (!loop.running().empty()) {
    if (on_step && !on_step(loop.drawn())) {
      for (Sequence* row : loop.running()) row->finish(StopReason::caller);
    }
    if (!loop.step()) break;
  }
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
