// Next-token generation: a batch of continuations, token by token. Knows no model: a model's running state is behind TokenSteps.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tensor/tensor.h"
#include "text/tokenizer.h"

namespace tessera::generate {

/// How a token is drawn from logits. Filters act in the order they stand here.
struct TokenSampling {
  double repetition_penalty = 1;  // divides positive and multiplies negative logits of tokens seen (arXiv 1909.05858)
  double temperature = 0;         // 0 is greedy
  int64_t top_k = 0;              // 0: all
  double top_p = 1;
  double min_p = 0;
  uint64_t seed = 0;  // row r, token t is drawn by (seed, r, t) alone
};

/// Looks at a row's tokens so far (prompt and continuation) and changes its logits [V] in place: bans, biases, constraints.
using LogitsRule = std::function<void(size_t row, const std::vector<int32_t>& tokens, Tensor& logits)>;

struct TextOptions {
  int64_t max_new_tokens = 256;
  TokenSampling sampling;
  std::vector<std::string> stop;    // texts that end a continuation; they are not part of it
  std::vector<int32_t> end_tokens;  // ids that end a continuation
  std::vector<LogitsRule> rules;
  /// Sees each row's new text as it comes, whole characters only. False stops that row.
  std::function<bool(size_t row, std::string_view text)> on_text;
};

enum class StopReason { end_token, stop_text, length, caller };

struct Continuation {
  std::string text;
  std::vector<int32_t> tokens;  // without the end token
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

/// `prompts`: the token ids of each row, for penalties and rules. Throws UserError for options out of range.
std::vector<Continuation> run(TokenSteps& steps, const std::vector<std::vector<int32_t>>& prompts,
                              const text::Tokenizer& tokenizer, const TextOptions& options);

}  // namespace tessera::generate
