// The page that `tessera plan ladder --report` writes: what a person reads before a large run is paid for.
#pragma once

#include "plan/ladder.h"
#include "plan/report.h"

namespace tessera::plan {

/// `forecast` is what forecast_ladder(table, options) gave. The same arguments give the same page.
Report ladder_report(const LadderTable& table, const LadderOptions& options, const LadderForecast& forecast);

}  // namespace tessera::plan
