// Next-token generation: a batch of continuations, token by token. Knows no model: a model's running state is behind
// TokenSteps.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "generate/token_sampling.h"
#include "tensor/tensor.h"
#include "text/tokenizer.h"

namespace tessera::generate {

/// Looks at a row's tokens so far (prompt and continuation) and changes its logits [V] fp32 (CPU) in place: bans
/// (-inf), biases, constraints.
using LogitsRule = std::function<void(size_t row, const std::vector<int32_t>& tokens, Tensor& logits)>;

struct TextOptions {
  int64_t max_new_tokens = 256;
  int64_t context = 0;  // longest sequence, prompt and continuation together; 0: no limit
  TokenSampling sampling;
  std::vector<std::string> stop;    // texts that end a continuation; they are not part of its text
  std::vector<int32_t> end_tokens;  // ids that end a continuation
  std::vector<LogitsRule> rules;
  /// Sees each row's new text as it comes, whole characters only. False stops that row.
  std::function<bool(size_t row, std::string_view text)> on_text;
  /// Called after every step with the number of tokens drawn so far by all rows. False stops all rows.
  std::function<bool(int64_t tokens)> on_step;
  /// What rows count as, for draws, rules and on_text; absent: 0, 1, 2, ... A batch that is written in parts gives
  /// each part its own.
  std::vector<size_t> rows;
};

enum class StopReason { end_token, stop_text, length, caller };
/// "end", "stop", "length", "caller".
std::string_view name_of(StopReason reason);

struct Continuation {
  std::string text;             // up to the stop text; broken UTF-8 as U+FFFD
  std::vector<int32_t> tokens;  // without the end token; those of a stop text are among them
  StopReason reason = StopReason::length;
};

/// A model part way through a batch of sequences.
class TokenSteps {
 public:
  virtual ~TokenSteps() = default;
  /// Logits [B, V] (fp32) of the first new token of every row.
  virtual Tensor start() = 0;
  /// Takes one token per row [B] int64, gives the next logits [B, V].
  virtual Tensor next(const Tensor& ids) = 0;
  /// Goes on with these rows alone, in this order; [n] int64.
  virtual void keep(const Tensor& rows) = 0;
};

/// Throws UserError for numbers out of range and for stop texts that are empty or no UTF-8.
void check(const TextOptions& options);

/// `prompts`: the token ids of each row, for penalties, rules and the context limit. Logits beyond the tokenizer's
/// ids are not looked at; a row that is finished leaves the batch. Throws UserError as check() does and for a prompt
/// that leaves no room in the context, FaultError for logits that are NaN.
std::vector<Continuation> run(TokenSteps& steps, const std::vector<std::vector<int32_t>>& prompts,
                              const text::Tokenizer& tokenizer, const TextOptions& options);

}  // namespace tessera::generate
