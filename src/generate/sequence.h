// One request for tokens: its ids, its own options, constraint and stream of random numbers. Knows ids alone, so that text and
// picture codes are drawn by the same loop; generate/text_sequence.h adds the words.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "generate/token_sampling.h"
#include "tensor/tensor.h"

namespace tessera::generate {

/// What a sequence goes on from.
struct Prompt {
  std::vector<int32_t>
      ids;                 // of the words: what penalties look at, and what the model reads where nothing else is given
  Tensor embeddings = {};  // [L, C] in place of the ids, for prompts that are not only text
  /// Positions that the prompt takes.
  int64_t length() const { return present(embeddings) ? embeddings.size(0) : static_cast<int64_t>(ids.size()); }
};

enum class StopReason { end_token, stop_text, length, caller };
/// "end", "stop", "length", "caller".
std::string_view name_of(StopReason reason);

struct SequenceOptions {
  TokenSampling sampling;
  uint64_t stream = 0;  // number of the sequence for its draws: token t is drawn by (seed, stream, t) alone
  int64_t max_new_tokens = 256;
  int64_t context = 0;              // longest sequence, prompt and continuation together; 0: no limit
  std::vector<int32_t> end_tokens;  // ids that end it; they are not part of it
  int64_t vocabulary = 0;           // logits from here on are not looked at; 0: all are
  bool operator==(const SequenceOptions&) const = default;
};

/// What may come next in one sequence: a grammar, a list of bans. Has a state of its own, which follows the ids.
class Constraint {
 public:
  virtual ~Constraint() = default;
  /// Before the first mask(): the options of the sequence, and how many ids it may have at most.
  virtual void begin(const SequenceOptions& /*options*/, int64_t /*most_new_ids*/) {}
  /// Changes the logits [V] fp32 (CPU) of the next id in place: bans (-inf), biases.
  virtual void mask(Tensor& logits) = 0;
  /// The id that was drawn.
  virtual void advance(int32_t id) = 0;
  /// Whether nothing can follow: the sequence then ends as by an end token.
  virtual bool finished() const { return false; }
};

class Sequence {
 public:
  /// Throws UserError for options out of range and for a prompt that leaves no room in the context (says by how much).
  Sequence(Prompt prompt, SequenceOptions options);
  virtual ~Sequence() = default;
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  const Prompt& prompt() const { return prompt_; }
  /// Gives the prompt away: the model has read it.
  Prompt take_prompt() { return std::move(prompt_); }
  const SequenceOptions& options() const { return options_; }
  const std::vector<int32_t>& new_ids() const { return new_ids_; }
  bool finished() const { return finished_; }
  /// Ids that it may still have at most.
  int64_t left() const { return most_ - std::ssize(new_ids_); }
  StopReason reason() const { return reason_; }

  /// Each constraint changes the logits after the ones before it.
  void constrain(std::unique_ptr<Constraint> constraint);
  /// Whether the next id is simply the most likely one.
  virtual bool greedy() const;
  /// Whether see() wants every logits.
  virtual bool watches() const { return false; }
  /// Sees the logits [V] fp32 (CPU) of the next id, as the model gave them.
  virtual void see(const Tensor& /*logits*/) {}
  /// Draws the next id from logits [V] fp32 (CPU), which it may change. Throws FaultError for logits that are NaN.
  int32_t draw(Tensor logits);
  /// The id that would be drawn from logits [V] fp32 (CPU) `ahead` ids after the next one, by the same random numbers; penalties and
  /// constraints, which depend on the ids before it, are left out.
  int32_t guess(const Tensor& logits, size_t ahead) const { return sample(logits, new_ids_.size() + ahead); }
  /// Goes on with an id; finished() may be true afterwards.
  void take(int32_t id);
  /// Ends here.
  void finish(StopReason reason);
  /// Ends here by a fault of its own, without giving out what was held back.
  void fail(std::exception_ptr error);
  /// What fail() was told; null: nothing.
  const std::exception_ptr& error() const { return error_; }
  /// Throws it, if anything.
  void require_sound() const;

 protected:
  /// Draws new id number `index` from logits as penalties and constraints left them: a function of these two alone.
  virtual int32_t sample(const Tensor& logits, size_t index) const;
  /// Sees every id that has become part of the sequence; may call finish().
  virtual void on_id(int32_t /*id*/) {}
  /// Gives out what was held back. Returns the reason, which may be another one now.
  virtual StopReason on_finish(StopReason reason) { return reason; }

 private:
  Prompt prompt_;
  SequenceOptions options_;
  int64_t most_ = 0;  // new ids
  std::vector<int32_t> new_ids_;
  std::unordered_set<int32_t> seen_;  // where a penalty looks at them
  std::vector<std::unique_ptr<Constraint>> constraints_;
  bool finished_ = false;
  StopReason reason_ = StopReason::length;
  std::exception_ptr error_;
};

/// Throws UserError, in the words of the command line, for numbers out of range.
void check(const SequenceOptions& options);

}  // namespace tessera::generate
