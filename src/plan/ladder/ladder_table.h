// The ladder table: small runs of a recipe ("rungs"), each with the checkpoints at which tasks were measured, and perhaps
// the large run that they shall predict. docs/planning.md describes the file's columns.
#pragma once

#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"

namespace tessera::plan {

/// Accuracy of guessing on a task, where it is known: four choices make .25. Generated answers make 0.
std::optional<double> chance_of(std::string_view task);

inline constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

/// What was measured of one task, aligned with the checkpoints of its run; NaN where a cell is empty.
struct TaskSeries {
  std::vector<double> bpb;  // bits per byte of the gold answer
  std::vector<double> acc;  // accuracy, a fraction
  std::vector<double> ce;   // cross entropy over the choices, nats
};

/// Training FLOPs per token of a model with `params` non-embedding parameters: 6 N, or what is published for exactly that
/// size of the ladder paper.
double flops_per_token_of(double params);

/// One training run, checkpoints in the order of their tokens.
struct LadderRun {
  std::string name, size;
  double params = 0;              // N, non-embedding
  double flops_per_token = 0;     // the table's, else flops_per_token_of(params)
  std::vector<double> tokens;     // D at each checkpoint
  std::vector<double> loss;       // language-model loss (column c4_loss); empty when the table has none
  std::vector<TaskSeries> tasks;  // aligned with LadderTable::tasks

  double final_tokens() const { return tokens.back(); }
  double final_flops() const { return flops_per_token * tokens.back(); }
};

struct LadderTable {
  std::string source;
  std::vector<std::string> tasks;  // every task that any column names
  bool has_loss = false;
  std::vector<LadderRun> runs;     // role "train"
  std::vector<LadderRun> targets;  // role "target"
  std::vector<std::string> notes;  // what was skipped, in words

  /// Index of a task; nullopt when the table has none of that name.
  std::optional<size_t> find_task(std::string_view name) const;
  /// The target run whose N and last D are within 1% of these.
  const LadderRun* find_target(double params, double tokens) const;
};

/// Reads and checks a ladder table. Throws UserError with line and column: missing or misspelt columns, text for a
/// number, N, D or a loss that is not positive, an accuracy outside [0, 1] (percentages are named as such), two rows of
/// one run with the same tokens, a run whose N changes, no run to learn from.
LadderTable read_ladder_table(const Path& path);
LadderTable parse_ladder_table(std::string_view text, const std::string& source);

/// The tasks that are predicted when none are named: those whose accuracies were measured and vary, less BoolQ and
/// Winogrande, which the ladder paper leaves out as noisy (arXiv 2412.04403, section 5). What was left out is listed in
/// `notes`.
std::vector<size_t> default_tasks(const LadderTable& table, std::vector<std::string>& notes);

/// How many of the last checkpoints are averaged for a run's final value: section 3.1 of the paper, whose checkpoints
/// are dense.
inline constexpr size_t kLastCheckpoints = 5;
/// An average reaches over less than this share of the run's tokens, however few checkpoints lie there: losses that are
/// further apart differ by more than their noise.
inline constexpr double kReach = 0.1;

/// What a run ended with: the mean of its last values, at most `count` of them, all within the last tenth of its tokens;
/// NaN when none is. `values` is aligned with `tokens`, or empty.
double mean_at_end(const std::vector<double>& tokens, const std::vector<double>& values,
                   size_t count = kLastCheckpoints);

}  // namespace tessera::plan
