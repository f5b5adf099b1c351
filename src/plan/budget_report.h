// The page of `tessera plan budget --report`.
#pragma once

#include "plan/budget.h"
#include "plan/report.h"

namespace tessera::plan {

Report budget_report(const BudgetOptions& options, const Budget& budget);

}  // namespace tessera::plan
