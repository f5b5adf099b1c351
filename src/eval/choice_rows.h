// Multiple-choice questions from JSONL, in the spellings that the common sets are published in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"

namespace tessera::eval {

struct ChoiceRow {
  std::string prompt;                // what stands before a choice; a blank is put between
  std::vector<std::string> choices;  // at least two
  size_t answer = 0;                 // the right one
  std::string place;                 // "arc.jsonl line 3"
};

/// One row. Keys, each by the first that is there:
///   prompt    "prompt", "context" + "question" (SIQA), "ctx" (HellaSwag), "goal" (PIQA), "question": {"stem", "choices"}
///             (ARC, CSQA), "query", "question", "question_stem" (OpenBookQA)
///   choices   "choices" or "options": a list, a list of {"text", "label"}, or {"text": [...], "label": [...]};
///             "endings"; "sol1", "sol2"; "answerA", "answerB", ...
///   answer    "answerKey", "answer", "label", "gold", "target": the choice's label, the choice itself, a letter, or a
///             number from 0
/// What is called a question is asked as "Question: ...", "Answer:" on the next line; other prompts stand as they are.
/// Throws UserError that opens with `place`.
ChoiceRow parse_choice_row(std::string_view line, std::string_view place);

/// Every line that is not blank. Throws UserError; also for a file without rows.
std::vector<ChoiceRow> read_choice_rows(const Path& file);

/// `row` after solved examples, with a blank line between ("few shots").
std::string with_examples(const ChoiceRow& row, const std::vector<ChoiceRow>& examples, int64_t shots);

}  // namespace tessera::eval
