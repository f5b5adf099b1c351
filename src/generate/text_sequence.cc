// Text is held back until its characters are whole and no stop text can still be completed.
#include "generate/text_sequence.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/utf8.h"

namespace tessera::generate {

namespace {

SequenceOptions options_of(const TextOptions& options, const text::Tokenizer& tokenizer, size_t row) {
  return {.sampling = options.sampling,
          .stream = row,
          .max_new_tokens = options.max_new_tokens,
          .context = options.context,
          .end_tokens = options.end_tokens,
          .vocabulary = tokenizer.vocabulary()};
}

}  // namespace

std::string StopText::push(std::string_view text) {
  if (stopped_) return "";
  held_ += text;
  size_t begin = held_.size(), end = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t at = held_.find(stop);
    if (at == std::string::npos || at + stop.size() > end) continue;
    begin = at + stop.size() < end ? at : std::min(begin, at);
    end = at + stop.size();
  }
  stopped_ = end != std::string::npos;
  std::string shown = held_.substr(0, stopped_ ? begin : held_.size() - held_back());
  held_.erase(0, stopped_ ? held_.size() : shown.size());
  return shown;
}

std::string StopText::finish() { return std::exchange(held_, ""); }

/// Length of the longest end of the text that a stop text begins with.
size_t StopText::held_back() const {
  size_t longest = 0;
  for (const std::string& stop : stops_) {
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > longest; --n) {
      if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) longest = n;
    }
  }
  return longest;
}

TextSequence::TextSequence(Prompt prompt, const text::Tokenizer& tokenizer, const TextOptions& options, size_t row)
    : Sequence(std::move(prompt), options_of(options, tokenizer, row)), row_(row), on_text_(options.on_text),
      decoder_(tokenizer), stop_(options.stop) {
  for (const ConstraintMaker& make : options.constraints) constrain(make(this->prompt().ids));
}

void TextSequence::show(const std::string& text) {
  if (text.empty() || unwanted_) return;
  text_ += text;
  unwanted_ = on_text_ && !on_text_(row_, text);
}

void TextSequence::on_id(int32_t id) {
  show(stop_.push(decoder_.push(id)));
  if (unwanted_) finish(StopReason::caller);
  else if (stop_.stopped()) finish(StopReason::stop_text);
}

StopReason TextSequence::on_finish(StopReason reason) {
  show(stop_.push(decoder_.finish()));
  if (stop_.stopped() && !unwanted_) reason = StopReason::stop_text;
  show(stop_.finish());
  return reason;
}

void check(const TextOptions& options) {
  check(SequenceOptions{.sampling = options.sampling,
                        .max_new_tokens = options.max_new_tokens,
                        .context = options.context,
                        .end_tokens = {}});
  for (const std::string& stop : options.stop) {
    if (stop.empty()) throw UserError("[generate] a stop text is empty, which would end every continuation at once");
    if (broken_parts(stop) > 0) throw UserError("[generate] a stop text is no valid UTF-8");
  }
}

std::vector<Continuation> run(TokenSteps& steps, std::vector<Prompt> prompts, const text::Tokenizer& tokenizer,
                              const TextOptions& options) {
  check(options);
  TORCH_INTERNAL_ASSERT(options.rows.empty() || options.rows.size() == prompts.size(), "a number for each row");
  std::vector<std::unique_ptr<TextSequence>> sequences;
  std::vector<Sequence*> rows;
  for (size_t r = 0; r < prompts.size(); ++r) {
    const size_t row = options.rows.empty() ? r : options.rows[r];
    sequences.push_back(std::make_unique<TextSequence>(std::move(prompts[r]), tokenizer, options, row));
    rows.push_back(sequences.back().get());
  }
  run(steps, rows, options.on_step);
  std::vector<Continuation> results;
  for (const auto& sequence : sequences) results.push_back(sequence->result());
  return results;
}

}  // namespace tessera::generate
