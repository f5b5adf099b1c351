// Notes wait until the text of their tokens is shown, so that a stop text's tokens are noted no more than they are seen.
#include "serve/served_sequence.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tessera::serve {

namespace {

generate::SequenceOptions options_of(const TextTask& task, const text::Tokenizer& tokenizer, size_t choice) {
  const generate::TextOptions& o = task.options;
  return {.sampling = o.sampling,
          .stream = choice,
          .max_new_tokens = o.max_new_tokens,
          .context = o.context,
          .end_tokens = o.end_tokens,
          .vocabulary = tokenizer.vocabulary()};
}

}  // namespace

TokenNote note_of(const Tensor& logits, int32_t id, int64_t top) {
  const Tensor whole = logits.contiguous();
  const float* const values = whole.const_data_ptr<float>();
  const auto count = static_cast<size_t>(whole.numel());
  const double most = *std::max_element(values, values + count);
  const double sum =
      std::accumulate(values, values + count, 0.0, [&](double s, float x) { return s + std::exp(x - most); });
  const double log_sum = most + std::log(sum);
  TokenNote note{.id = id, .log_probability = values[id] - log_sum, .top = {}};
  if (top <= 0) return note;
  std::vector<int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  const auto end = order.begin() + std::min<int64_t>(top, whole.numel());
  std::partial_sort(order.begin(), end, order.end(),
                    [&](int32_t a, int32_t b) { return values[a] != values[b] ? values[a] > values[b] : a < b; });
  for (auto at = order.begin(); at != end; ++at) note.top.emplace_back(*at, values[*at] - log_sum);
  return note;
}

ServedSequence::ServedSequence(generate::Prompt prompt, const text::Tokenizer& tokenizer, const TextTask& task,
                               size_t choice)
    : Sequence(std::move(prompt), options_of(task, tokenizer, choice)), choice_(choice), notes_(task.notes),
      listener_(task.listener), decoder_(tokenizer), stop_(task.options.stop) {
  for (const generate::ConstraintMaker& make : task.options.constraints) constrain(make(this->prompt().ids));
}

void ServedSequence::show(const std::string& text) {
  if (text.empty()) return;
  listener_->text(choice_, text, std::exchange(waiting_, {}));
}

void ServedSequence::on_id(int32_t id) {
  if (notes_ >= 0) waiting_.push_back(note_of(logits_, id, notes_));
  show(stop_.push(decoder_.push(id)));
  if (stop_.stopped()) finish(generate::StopReason::stop_text);
}

generate::StopReason ServedSequence::on_finish(generate::StopReason reason) {
  show(stop_.push(decoder_.finish()));
  if (stop_.stopped()) reason = generate::StopReason::stop_text;
  show(stop_.finish());
  if (!waiting_.empty() && reason != generate::StopReason::stop_text)
    listener_->text(choice_, "", std::exchange(waiting_, {}));
  listener_->ended(choice_, reason, std::ssize(new_ids()));
  return reason;
}

}  // namespace tessera::serve
