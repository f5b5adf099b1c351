// From logits to an id, and when a sequence ends.
#include "generate/sequence.h"

#include <algorithm>

#include "core/error.h"

namespace tessera::generate {

std::string_view name_of(StopReason reason) {
  switch (reason) {
    case StopReason::end_token:
      return "end";
    case StopReason::stop_text:
      return "stop";
    case StopReason::length:
      return "length";
    case StopReason::caller:
      return "caller";
  }
  return "";
}

void check(const SequenceOptions& options) {
  check(options.sampling);
  if (options.max_new_tokens < 1)
    throw UserError("[generate] max-new-tokens is {}, want at least 1", options.max_new_tokens);
  if (options.context < 0) throw UserError("[generate] context is {}, want at least 0 (no limit)", options.context);
}

Sequence::Sequence(Prompt prompt, SequenceOptions options) : prompt_(std::move(prompt)), options_(std::move(options)) {
  check(options_);
  const int64_t length = prompt_.length(), context = options_.context;
  if (length == 0) throw UserError("[generate] the prompt is empty; want at least one token to go on from");
  if (context > 0 && length >= context) {
    throw UserError("[generate] the prompt has {} tokens, the context is {}: {} too many for one new token", length,
                    context, length + 1 - context);
  }
  most_ = context > 0 ? std::min(options_.max_new_tokens, context - length) : options_.max_new_tokens;
  if (options_.sampling.repetition_penalty != 1) seen_.insert(prompt_.ids.begin(), prompt_.ids.end());
}

void Sequence::constrain(std::unique_ptr<Constraint> constraint) {
  constraint->begin(options_, most_);
  constraints_.push_back(std::move(constraint));
}

bool Sequence::greedy() const {
  return options_.sampling.temperature == 0 && options_.sampling.repetition_penalty == 1 && constraints_.empty() &&
         !watches();
}

int32_t Sequence::draw(Tensor logits) {
  const TokenSampling& sampling = options_.sampling;
  if (watches()) see(logits);
  if (sampling.repetition_penalty != 1) penalise(logits, seen_, sampling.repetition_penalty);
  for (const auto& constraint : constraints_) constraint->mask(logits);
  return sample(logits, new_ids_.size());
}

int32_t Sequence::sample(const Tensor& logits, size_t index) const {
  return sample_token(logits, options_.sampling, options_.stream, index);
}

void Sequence::take(int32_t id) {
  if (std::ranges::find(options_.end_tokens, id) != options_.end_tokens.end()) {
    finish(StopReason::end_token);
    return;
  }
  new_ids_.push_back(id);
  if (options_.sampling.repetition_penalty != 1) seen_.insert(id);
  for (const auto& constraint : constraints_) constraint->advance(id);
  on_id(id);
  if (std::ranges::any_of(constraints_, [](const auto& each) { return each->finished(); }))
    finish(StopReason::end_token);
  if (std::ssize(new_ids_) >= most_) finish(StopReason::length);
}

void Sequence::finish(StopReason reason) {
  if (finished_) return;
  finished_ = true;
  reason_ = on_finish(reason);
}

void Sequence::fail(std::exception_ptr error) {
  finished_ = true;
  reason_ = StopReason::caller;
  error_ = std::move(error);
}

void Sequence::require_sound() const {
  if (error_) std::rethrow_exception(error_);
}

}  // namespace tessera::generate
