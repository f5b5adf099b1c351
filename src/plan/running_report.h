// The part of a ladder's page about a run that is under way.
#pragma once

#include "plan/report.h"
#include "plan/running.h"

namespace tessera::plan {

/// Means over the tasks, one row per checkpoint in the order of the tokens.
std::vector<RunningPoint> mean_over_tasks(const std::vector<RunningPoint>& points);

/// Adds how the forecast moved, the mean over the tasks and task by task, and how it differs at the last checkpoint.
void add_running(Report& report, const std::string& run, const std::vector<RunningPoint>& points);

}  // namespace tessera::plan
