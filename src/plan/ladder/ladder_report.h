// The page that `tessera plan ladder --report` writes: what a person reads before a large run is paid for.
#pragma once

#include "plan/ladder/budget.h"
#include "plan/ladder/ladder.h"
#include "plan/ladder/running.h"
#include "plan/report/report.h"

namespace tessera::plan {

/// `forecast` is what forecast_ladder(table, options) gave. The same arguments give the same page.
Report ladder_report(const LadderTable& table, const LadderOptions& options, const LadderForecast& forecast);

Report budget_report(const BudgetOptions& options, const Budget& budget);

/// Means over the tasks, which weigh as in `forecast`, one row per checkpoint in the order of the tokens.
std::vector<RunningPoint> mean_over_tasks(const std::vector<RunningPoint>& points, const LadderForecast& forecast);

/// Adds how the forecast moved: the mean over the tasks, then task by task. `coverage` is the intervals' level.
void add_running(Report& report, const std::string& run, const std::vector<RunningPoint>& points,
                 const LadderForecast& forecast, double coverage = 0.8);

}  // namespace tessera::plan
