// A sequence of text: ids become whole characters as they come, and texts can end it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "generate/id_loop.h"
#include "text/tokenizer.h"

namespace tessera::generate {

/// Texts that end a continuation, found as it comes. What is given out never holds the beginning of a stop text that may still
/// be completed, and does not depend on how the text is cut into tokens.
class StopText {
 public:
  /// None of `stops` is empty.
  explicit StopText(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// Takes the next text, gives what can be shown now. Of several stop texts the one that is complete first counts,
  /// the longest of those that end together; nothing comes after it.
  std::string push(std::string_view text);
  /// What was held back. Nothing after a stop.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  size_t held_back() const;
  std::vector<std::string> stops_;
  std::string held_;  // given in, not yet given out
  bool stopped_ = false;
};

/// Makes the constraint of one sequence from its prompt.
using ConstraintMaker = std::function<std::unique_ptr<Constraint>(const std::vector<int32_t>& prompt)>;

/// How text is continued: what all sequences of one call share.
struct TextOptions {
  int64_t max_new_tokens = 256;
  int64_t context = 0;  // longest sequence, prompt and continuation together; 0: no limit
  TokenSampling sampling;
  std::vector<std::string> stop;    // texts that end a continuation; they are not part of its text
  std::vector<int32_t> end_tokens;  // ids that end a continuation
  std::vector<ConstraintMaker> constraints;
  /// Sees each row's new text as it comes, whole characters only. False stops that row.
  std::function<bool(size_t row, std::string_view text)> on_text;
  /// Called after every step with the number of tokens drawn so far by all rows. False stops all rows.
  std::function<bool(int64_t tokens)> on_step;
  /// What rows count as, for draws and on_text; absent: 0, 1, 2, ... A batch that is written in parts gives each part its own.
  std::vector<size_t> rows;
};

struct Continuation {
  std::string text;             // up to the stop text; broken UTF-8 as U+FFFD
  std::vector<int32_t> tokens;  // without the end token; those of a stop text are among them
  StopReason reason = StopReason::length;
};

class TextSequence final : public Sequence {
 public:
  /// Row `row` of a call with these options. Throws UserError as Sequence does.
  TextSequence(Prompt prompt, const text::Tokenizer& tokenizer, const TextOptions& options, size_t row);
  Continuation result() const { return {text_, new_ids(), reason()}; }

 protected:
  void on_id(int32_t id) override;
  StopReason on_finish(StopReason reason) override;

 private:
  void show(const std::string& text);
  size_t row_;
  std::function<bool(size_t row, std::string_view text)> on_text_;
  text::StreamDecoder decoder_;
  StopText stop_;
  std::string text_;
  bool unwanted_ = false;  // whoever watches has had enough
};

/// Throws UserError for numbers out of range and for stop texts that are empty or no UTF-8.
void check(const TextOptions& options);

/// Continues the prompts as one batch. Logits beyond the tokenizer's ids are not looked at. Throws UserError as check() does and
/// for a prompt that leaves no room in the context, FaultError for logits that are NaN.
std::vector<Continuation> run(TokenSteps& steps, std::vector<Prompt> prompts, const text::Tokenizer& tokenizer,
                              const TextOptions& options);

}  // namespace tessera::generate
