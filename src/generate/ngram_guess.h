// Speculation without a second model (prompt lookup): what followed the last few ids earlier in the same sequence may follow again. The
// loop checks guesses with the model and draws as it would have drawn, so that right ones save steps and none changes an id.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "generate/id_loop.h"

namespace tessera::generate {

class NgramGuess {
 public:
  struct Options {
    size_t longest = 3, shortest = 2;  // ids that must have been there before
    int64_t most = 8;                  // ids of a guess
    int64_t pause = 8;                 // steps without a guess after one that was all wrong
  };
  NgramGuess() = default;
  explicit NgramGuess(const Options& options) : options_(options) {}

  /// What may follow; often nothing. Guesses of a sequence grow while they are right.
  std::vector<int32_t> operator()(const Sequence& sequence);
  /// How a guess for it went: so many of its ids were drawn.
  void learn(const Sequence& sequence, int64_t guessed, int64_t right);
  void forget(const Sequence& sequence) { habits_.erase(&sequence); }

 private:
  struct Habit {
    int64_t length = 2, pause = 0;
  };
  Options options_;
  std::unordered_map<const Sequence*, Habit> habits_;
};

/// What followed the last occurrence of the longest ending of `ids`, of `longest` to `shortest` ids, that was there before: at most `count` ids.
std::vector<int32_t> continuation_seen(const std::vector<int32_t>& ids, size_t longest, size_t shortest, int64_t count);

}  // namespace tessera::generate
