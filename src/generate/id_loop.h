// The one loop that draws tokens: any set of sequences side by side over a model's steps. Who joins when is the caller's
// matter: a batch lets all join at once, a server as they come.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "generate/sequence.h"

namespace tessera::generate {

/// A model part way through sequences of unlike age, its rows. What a row becomes depends on that row alone, bit for bit,
/// whatever joins or leaves beside it.
class TokenSteps {
 public:
  virtual ~TokenSteps() = default;
  /// Rows that come after those that are there: reads their prompts, gives logits [n, V] (fp32) of what follows each.
  virtual Tensor join(std::span<const Prompt* const> prompts) = 0;
  /// One id for every row -> logits [B, V] of what follows.
  virtual Tensor next(std::span<const int32_t> ids) = 0;
  /// Several ids for every row, also none -> logits [T, V] of what follows each of them, row after row. What is not wanted of
  /// them afterwards is taken back by rewind().
  virtual Tensor verify(const std::vector<std::vector<int32_t>>& ids) = 0;
  /// Forgets all but the first `length` positions of a row.
  virtual void rewind(size_t row, int64_t length) = 0;
  /// Goes on with these rows alone, in this order.
  virtual void keep(std::span<const size_t> rows) = 0;

  /// How far a prompt has been read that has not joined.
  struct Ahead {
    int64_t left = 0;   // positions that are still to be read, the last piece of them by join()
    int64_t known = 0;  // positions that were there from earlier prompts
  };
  /// Reads on in a prompt that will join: some `most` positions, in the pieces in which join() would read it, so that what comes after is
  /// the same bit for bit. The prompt must stay where it is until it joins or is forgotten.
  virtual Ahead read_ahead(const Prompt& prompt, int64_t most);
  /// A prompt that was read ahead will not join.
  virtual void forget(const Prompt& /*prompt*/) {}
  /// Positions of all blocks of memory that rows and prompts hold.
  virtual int64_t held() const { return 0; }
  /// Rows, and positions of one.
  virtual size_t rows() const = 0;
  virtual int64_t length(size_t row) const = 0;
};

class NgramGuess;

/// Sequences over steps that it does not own. Sequences and steps must outlive it. What is thrown where the id of one sequence is drawn or
/// taken (logits that are NaN, a constraint that nothing fits) is that sequence's error() and ends it alone; faults of the steps are thrown.
class IdLoop {
 public:
  explicit IdLoop(TokenSteps& steps) : steps_(&steps) {}
  /// Reads the sequences' prompts and draws the first id of each.
  void join(std::span<Sequence* const> sequences);
  /// One more id for every sequence that is under way; those that are finished leave. False when none is left.
  bool step();
  /// The same, and where guesses of what follows are right, several ids at once. What is drawn does not depend on them.
  bool step(NgramGuess& guess);
  /// Lets those that are finished leave now, and not with the next step.
  void leave();
  const std::vector<Sequence*>& running() const { return rows_; }
  /// Ids drawn so far by all sequences.
  int64_t drawn() const { return drawn_; }

 private:
  void draw(const Tensor& logits, std::span<Sequence* const> rows);
  void check(const Tensor& logits, const std::vector<std::vector<int32_t>>& ids, NgramGuess& guess);
  TokenSteps* steps_;
  std::vector<Sequence*> rows_;  // as the steps have them
  std::vector<int32_t> last_;    // the id that each drew last
  int64_t drawn_ = 0;
};

/// Runs sequences to their ends as one batch. `on_step` is called after every step with the number of ids drawn so far by all;
/// false stops all. Throws what a sequence failed with.
void run(TokenSteps& steps, std::span<Sequence* const> sequences, const std::function<bool(int64_t ids)>& on_step = {});

/// The most likely continuation of each prompt as one batch, without the end token.
std::vector<std::vector<int32_t>> continue_greedily(TokenSteps& steps, const std::vector<std::vector<int32_t>>& prompts,
                                                    const SequenceOptions& options);

}  // namespace tessera::generate
