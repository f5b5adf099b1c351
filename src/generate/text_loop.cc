// One pass of the loop: draw a token for every row, hand out its text, drop the rows that are finished, ask for the
// next logits.
#include "generate/text_loop.h"

#include <algorithm>

#include <ATen/ops/tensor.h>

#include "core/error.h"
#include "generate/stop_text.h"

namespace tessera::generate {

namespace {

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80 ? 1 : lead >= 0xC2 && lead < 0xE0 ? 2 : lead >= 0xE0 && lead < 0xF0 ? 3 : 4;
    if ((lead >= 0x80 && lead < 0xC2) || lead > 0xF4 || i + length > text.size()) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    }
    i += length;
  }
  return true;
}

/// One sequence part way through.
class Row {
 public:
  Row(size_t place, size_t number, const std::vector<int32_t>& prompt, const text::Tokenizer& tokenizer,
      const TextOptions& options)
      : place_(place), number_(number), options_(&options), tokens_(prompt), decoder_(tokenizer), stop_(options.stop) {
    limit_ = options.max_new_tokens;
    if (options.context > 0) limit_ = std::min(limit_, options.context - std::ssize(prompt));
    if (penalised()) seen_.insert(prompt.begin(), prompt.end());
  }

  size_t place() const { return place_; }
  const Continuation& result() const { return result_; }

  /// Draws this row's next token from logits [V], which it may change, and gives it; finished() may be true afterwards.
  int32_t step(Tensor logits) {
    if (penalised()) penalise(logits, seen_, options_->sampling.repetition_penalty);
    for (const LogitsRule& rule : options_->rules) rule(number_, tokens_, logits);
    return take(sample_token(logits, options_->sampling, number_, result_.tokens.size()));
  }

  /// Goes on with a token that was drawn elsewhere.
  int32_t take(int32_t id) {
    const auto& ends = options_->end_tokens;
    if (std::find(ends.begin(), ends.end(), id) != ends.end()) {
      finish(StopReason::end_token);
      return id;
    }
    tokens_.push_back(id), result_.tokens.push_back(id);
    if (penalised()) seen_.insert(id);
    show(stop_.push(decoder_.push(id)));
    if (finished_) return id;
    if (stop_.stopped()) finish(StopReason::stop_text);
    else if (std::ssize(result_.tokens) >= limit_) finish(StopReason::length);
    return id;
  }

  /// Gives out what was held back.
  void finish(StopReason reason) {
    if (finished_) return;
    finished_ = true;
    result_.reason = reason;
    show(stop_.push(decoder_.finish()));
    if (stop_.stopped()) result_.reason = StopReason::stop_text;
    show(stop_.finish());
  }
  bool finished() const { return finished_; }

 private:
  bool penalised() const { return options_->sampling.repetition_penalty != 1; }

  void show(const std::string& text) {
    if (text.empty()) return;
    result_.text += text;
    const bool go_on = !options_->on_text || options_->on_text(number_, text);
    if (go_on || finished_) return;
    finished_ = true;
    result_.reason = StopReason::caller;
  }

  size_t place_, number_;  // in the results; for draws and callbacks
  const TextOptions* options_;
  std::vector<int32_t> tokens_;  // prompt and continuation
  std::unordered_set<int32_t> seen_;
  text::StreamDecoder decoder_;
  StopText stop_;
  Continuation result_;
  int64_t limit_ = 0;
  bool finished_ = false;
};

/// A token for every row. Plainly greedy rows are searched together, on the model's device.
std::vector<int64_t> draw(std::vector<Row>& rows, const Tensor& logits, const TextOptions& options) {
  std::vector<int64_t> ids(rows.size());
  const TokenSampling& sampling = options.sampling;
  if (sampling.temperature == 0 && sampling.repetition_penalty == 1 && options.rules.empty()) {
    const auto [most, where] = logits.max(-1);
    const Tensor values = most.to(at::kCPU, at::kFloat), places = where.cpu();
    for (size_t r = 0; r < rows.size(); ++r) {
      const auto at = static_cast<int64_t>(r);
      require_finite(values[at].item<float>());
      ids[r] = rows[r].take(static_cast<int32_t>(places[at].item<int64_t>()));
    }
    return ids;
  }
  const Tensor own = logits.to(at::kCPU, at::kFloat, false, true).contiguous();
  for (size_t r = 0; r < rows.size(); ++r) ids[r] = rows[r].step(own[static_cast<int64_t>(r)]);
  return ids;
}

/// Moves the results of finished rows out; gives the places in the batch of those that go on.
std::vector<int64_t> leave(std::vector<Row>& rows, std::vector<Continuation>& results) {
  std::vector<int64_t> staying;
  size_t place = 0;
  std::erase_if(rows, [&](const Row& row) {
    if (row.finished()) results[row.place()] = row.result();
    else staying.push_back(static_cast<int64_t>(place));
    ++place;
    return row.finished();
  });
  return staying;
}

std::vector<Row> rows_of(const std::vector<std::vector<int32_t>>& prompts, const text::Tokenizer& tokenizer,
                         const TextOptions& options) {
  TORCH_INTERNAL_ASSERT(options.rows.empty() || options.rows.size() == prompts.size(), "a number for each row");
  std::vector<Row> rows;
  for (size_t r = 0; r < prompts.size(); ++r) {
    const int64_t length = std::ssize(prompts[r]);
    if (options.context > 0 && length >= options.context) {
      throw UserError("[generate] the prompt has {} tokens, the context is {}: {} too many for one new token", length,
                      options.context, length + 1 - options.context);
    }
    rows.emplace_back(r, options.rows.empty() ? r : options.rows[r], prompts[r], tokenizer, options);
  }
  return rows;
}

}  // namespace

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

void check(const TextOptions& options) {
  check(options.sampling);
  if (options.max_new_tokens < 1)
    throw UserError("[generate] max-new-tokens is {}, want at least 1", options.max_new_tokens);
  if (options.context < 0) throw UserError("[generate] context is {}, want at least 0 (no limit)", options.context);
  for (const std::string& stop : options.stop) {
    if (stop.empty()) throw UserError("[generate] a stop text is empty, which would end every continuation at once");
    if (!is_utf8(stop)) throw UserError("[generate] a stop text is no valid UTF-8");
  }
}

std::vector<Continuation> run(TokenSteps& steps, const std::vector<std::vector<int32_t>>& prompts,
                              const text::Tokenizer& tokenizer, const TextOptions& options) {
  check(options);
  std::vector<Continuation> results(prompts.size());
  std::vector<Row> rows = rows_of(prompts, tokenizer, options);
  if (rows.empty()) return results;
  Tensor logits = steps.start();
  for (int64_t drawn = 0;;) {
    TORCH_INTERNAL_ASSERT(logits.dim() == 2 && logits.size(0) == std::ssize(rows), "logits [B, V] of every row");
    std::vector<int64_t> ids =
        draw(rows, logits.narrow(1, 0, std::min(logits.size(1), tokenizer.vocabulary())), options);
    drawn += std::ssize(rows);
    if (options.on_step && !options.on_step(drawn)) {
      for (Row& row : rows) row.finish(StopReason::caller);
    }
    const size_t before = rows.size();
    const std::vector<int64_t> staying = leave(rows, results);
    if (staying.empty()) return results;
    if (staying.size() < before) {
      steps.keep(at::tensor(staying));
      for (size_t r = 0; r < staying.size(); ++r) ids[r] = ids[static_cast<size_t>(staying[r])];
      ids.resize(staying.size());
    }
    logits = steps.next(at::tensor(ids));
  }
}

}  // namespace tessera::generate
