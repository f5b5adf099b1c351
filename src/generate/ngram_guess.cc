// Looking through some thousand ids takes microseconds, a step of a model milliseconds.
#include "generate/ngram_guess.h"

#include <algorithm>

namespace tessera::generate {

std::vector<int32_t> continuation_seen(const std::vector<int32_t>& ids, size_t longest, size_t shortest,
                                       int64_t count) {
  for (size_t n = std::min(longest, ids.size()); n >= shortest && n > 0; --n) {
    if (ids.size() <= n) continue;
    const auto ending = ids.end() - static_cast<std::ptrdiff_t>(n);
    // the latest occurrence that ends before the last id
    const auto found = std::find_end(ids.begin(), ids.end() - 1, ending, ids.end());
    if (found == ids.end() - 1) continue;
    const auto from = found + static_cast<std::ptrdiff_t>(n);
    const auto length = std::min<int64_t>(count, ids.end() - from);
    return {from, from + length};
  }
  return {};
}

std::vector<int32_t> NgramGuess::operator()(const Sequence& sequence) {
  Habit& habit = habits_[&sequence];
  if (habit.pause > 0) {
    --habit.pause;
    return {};
  }
  std::vector<int32_t> ids = sequence.prompt().ids;
  ids.insert(ids.end(), sequence.new_ids().begin(), sequence.new_ids().end());
  return continuation_seen(ids, options_.longest, options_.shortest, habit.length);
}

void NgramGuess::learn(const Sequence& sequence, int64_t guessed, int64_t right) {
  Habit& habit = habits_[&sequence];
  if (right == guessed) habit.length = std::min(options_.most, 2 * habit.length);
  else habit.length = std::max<int64_t>(1, right);
  if (right == 0) habit.pause = options_.pause;
}

}  // namespace tessera::generate
