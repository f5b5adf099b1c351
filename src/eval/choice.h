// Ranked classification: the model does not write, each choice is scored as the continuation of its prompt (arXiv
// 2412.04403).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "core/json_rows.h"
#include "eval/intervals.h"
#include "models/capabilities.h"

namespace tessera::eval {

struct ChoiceRow {
  std::string prompt;                // the text before a choice; a blank is put between
  std::vector<std::string> choices;  // at least two
  size_t answer = 0;                 // the right one
  std::string where;                 // "arc.jsonl line 3"
};

/// One row. Keys, each by the first that is there:
///   prompt    "prompt", "context" + "question" (SIQA), "ctx" (HellaSwag), "goal" (PIQA), "question": {"stem", "choices"}
///             (ARC, CSQA), "query", "question", "question_stem" (OpenBookQA)
///   choices   "choices" or "options": a list, a list of {"text", "label"}, or {"text": [...], "label": [...]};
///             "endings"; "sol1", "sol2"; "answerA", "answerB", ...
///   answer    "answerKey", "answer", "label", "gold", "target": the choice's label, the choice itself, a letter, or a
///             number from 0 (also written 1.0, as pandas does)
/// Labels and choices may be numbers; where a number names one choice by its place and another by its text, the row is refused.
/// Blanks around a choice and behind a prompt are dropped: one stands between the two.
/// A question becomes "Question: ..." with "Answer:" on the next line; other prompts stay as they are.
/// What became U+FFFD is counted in `repairs`. Throws UserError that opens with `where`.
ChoiceRow parse_choice_row(std::string_view line, std::string_view where, RowRepairs* repairs = nullptr);

/// Every line that is not blank. Throws UserError; also for a file without rows.
std::vector<ChoiceRow> read_choice_rows(const Path& file);

/// `row` after solved examples, with a blank line between ("few shots").
std::string with_examples(const ChoiceRow& row, const std::vector<ChoiceRow>& examples, int64_t shots);

struct ChoiceTask {
  std::vector<ChoiceRow> rows;
  std::vector<ChoiceRow> examples;  // solved ones before each question
  int64_t shots = 0;                // how many of them
  std::function<void(int64_t done)> on_progress;
};

/// What one question came to.
struct ChoiceOutcome {
  std::vector<double> nats;  // -log p of each choice given the prompt
  bool right = false;        // the most likely choice is the answer
  bool right_norm = false;   // the same after dividing by the choice's bytes
  double bpb = 0;            // bits per byte of the answer
  double ce = 0;             // nats of the answer among the choices, p(choice) made to sum to 1
};

struct ChoiceResult {
  std::vector<ChoiceOutcome> outcomes;  // a row each
  int64_t count = 0;
  double acc = 0, acc_norm = 0;
  Interval acc_interval, acc_norm_interval;
  Mean bpb, ce;
  int64_t positions = 0;  // that went through the model
};

/// Bytes are those of the choice in UTF-8, the blank before it not counted. Equal choices: the earlier wins. Throws
/// UserError for fewer examples than shots, and for a question that is longer than the model's context (names it,
/// says by how much).
ChoiceResult measure_choice(const Writes& model, const ChoiceTask& task);

/// Tokens of prompt and continuation as one text, parted where the prompt's own tokens end: where a token reaches
/// over the border, it belongs to the continuation. A begin token stands first when the tokenizer sets one.
Writes::ScoreRequest score_request(const text::Tokenizer& tokenizer, const std::string& prompt,
                                   const std::string& continuation);

}  // namespace tessera::eval
