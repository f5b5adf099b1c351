// What a forecast is asked for, found in the table: its tasks and their weights, its targets, its ranges.
#pragma once

#include <string>
#include <vector>

#include "plan/ladder/ladder.h"

namespace tessera::plan {

/// The tasks that the options name, or default_tasks. Throws UserError for an unknown one and when there is none.
std::vector<size_t> chosen_tasks(const LadderTable& table, const LadderOptions& options,
                                 std::vector<std::string>& notes);

/// Shares of the tasks in their average, which sum to 1; a task that was named twice counts twice.
std::vector<double> chosen_weights(const LadderTable& table, const LadderOptions& options,
                                   const std::vector<size_t>& tasks);

/// The options' targets, or the table's. Throws UserError when there is none, and when two have one name.
std::vector<LadderTarget> chosen_targets(const LadderTable& table, const LadderOptions& options);

/// Throws UserError for a chance level or ceiling of a task that the table lacks, and for a ceiling that is not above
/// the chance level, the given one or that of the task's name.
void check_ranges(const LadderTable& table, const LadderOptions& options);

/// Adds what the table measured of a target: the mean of at most `last` of its checkpoints.
void add_actual(const LadderTable& table, const LadderTarget& target, size_t task, size_t last, LadderPrediction& to);

}  // namespace tessera::plan
