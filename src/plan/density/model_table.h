// Tables of models for the densing law: who, how large, how many tokens, when, and what it scored. From CSV, from JSON
// such as `tessera eval --json` prints, or from a ladder table, whose runs become models.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "plan/ladder/ladder_table.h"
#include "plan/quantity.h"

namespace tessera::plan {

struct ModelRow {
  std::string name, family;
  double n = 0;              // parameters
  double tokens = kMissing;  // training tokens
  std::optional<DateSpan> released;
  std::map<std::string, double> scores;  // task -> fraction
  std::map<std::string, double> losses;  // task -> loss on the task's answers, in any one unit
  std::string where;                     // "models.csv line 3", for errors
};

struct ModelTable {
  std::string source;
  std::vector<ModelRow> models;
  std::vector<std::string> tasks;     // that any model has a score of
  std::optional<LadderTable> ladder;  // when that is what the file held
  std::vector<std::string> notes;
};

/// Reads a table; the text's first characters and the header say which kind it is. CSV wants columns `name` and
/// `n_params` and takes `family`, `tokens`, `released`, `<task>` or `<task>_acc`, `<task>_loss` or `<task>_bpb`.
/// JSON: an object, an array of objects, or one object a line, with `name` (or `model`), `n_params`, perhaps `family`,
/// `tokens`, `released`, scores by task and a list `results` of {task, accuracy, bits_per_byte}; an object with `task`
/// is itself such a result, and those of one model are gathered.
/// Throws UserError with line and column: missing or misspelt columns, text for a number, N, D or loss not above 0,
/// scores outside [0, 1] (percentages are named as such), bad dates, a model twice.
ModelTable read_models(const Path& path);
ModelTable parse_models(std::string_view text, const std::string& source);

/// Runs and targets of a ladder as models: last tokens, measures as each run ended (mean_at_end).
std::vector<ModelRow> ladder_models(const LadderTable& table);

/// Adds `more` to `models`; throws UserError when a name is there already; upper and lower case are the same.
void add_models(std::vector<ModelRow>& models, const std::vector<ModelRow>& more);

namespace detail {
ModelTable parse_json_models(std::string_view text, const std::string& source);
/// Names of columns that are not tasks, and of the tasks that Tessera knows.
const std::vector<std::string>& known_fields();
const std::vector<std::string>& known_tasks();
/// "" for a name that can be printed, otherwise what is wrong with it.
std::string name_fault(std::string_view name);
std::string lower(std::string_view text);
void note_tasks(ModelTable& table);
}  // namespace detail

}  // namespace tessera::plan
