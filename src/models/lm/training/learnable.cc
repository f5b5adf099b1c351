// Rows without a token to learn, found before training: a step over them would change nothing and say nothing.
#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "models/lm/training/objective.h"
#include "train/grading.h"

namespace tessera::lm {

namespace {
constexpr uint64_t most_rows = 200'000;  // looked at; of more data, the first of a pass

bool learns(const train::Sequence& sequence) {
  return std::ranges::any_of(sequence.targets, [](int32_t target) { return target != train::not_graded; });
}

/// How long a row must be for its first learned token to stay; 0 where it has none.
int64_t needed(const train::Sequence& sequence) {
  const auto first = std::ranges::find_if(sequence.targets, [](int32_t target) { return target != train::not_graded; });
  return first == sequence.targets.end() ? 0 : first - sequence.targets.begin() + 1;
}
}  // namespace

void require_learnable(const SampleSource& source, const text::Tokenizer& tokenizer,
                       const std::optional<text::ChatTemplate>& chat, int64_t room) {
  const uint64_t rows = std::min(source.pass_length().value_or(0), most_rows);
  uint64_t empty = 0, conversations = 0;
  int64_t shortest = std::numeric_limits<int64_t>::max();
  std::string first;
  Progress progress("look", static_cast<int64_t>(rows), "rows");
  for (uint64_t i = 0; i < rows; ++i) {
    const Sample sample = source.at(i);
    if (sample.messages.empty()) continue;  // of a text every token is learned
    ++conversations;
    if (learns(sequence_of(sample, tokenizer, chat, room))) continue;
    if (empty++ == 0) first = sample.where;
    const int64_t length = needed(sequence_of(sample, tokenizer, chat, std::numeric_limits<int32_t>::max()));
    if (length > 0) shortest = std::min(shortest, length);
    if (i % 64 == 0) progress.update(static_cast<int64_t>(i) + 1);
  }
  progress.finish();
  if (empty == 0) return;
  const bool fixable = shortest < std::numeric_limits<int64_t>::max();
  const std::string advice = fixable ? fmt::format("loss.length {} would keep one of the first of them", shortest)
                                     : std::string("the chat template marks no token of their answers");
  const std::string named = first.empty() ? "" : fmt::format(" (the first read is {})", first);
  if (empty == conversations && conversations == rows)
    throw UserError(
        "[lm] nothing can be learned: in none of the {} rows is a token of an answer within {} tokens{}; {}",
        conversations, room, named, advice);
  log_warning("[lm] {} of {} rows have no token of an answer within {} tokens and teach nothing{}; {}", empty,
              conversations, room, named, advice);
}

}  // namespace tessera::lm
