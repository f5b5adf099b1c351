// Stands for the planning verbs and the page of a run where the fitter is not there (TESSERA_PLAN=OFF).
#include "apps/inspect.h"
#include "apps/plan_budget.h"
#include "apps/plan_density.h"
#include "apps/plan_ladder.h"
#include "apps/plan_rank.h"
#include "core/error.h"

namespace tessera::apps {

namespace {
[[noreturn]] void refuse() {
  throw UserError("[plan] this build has no planning; configure with -DTESSERA_PLAN=ON, which needs NLopt");
}
}  // namespace

int run_plan_ladder(const PlanLadderOptions&) { refuse(); }
int run_plan_rank(const PlanRankOptions&) { refuse(); }
int run_plan_budget(const PlanBudgetOptions&) { refuse(); }
int run_plan_density(const PlanDensityOptions&) { refuse(); }

void write_run_report(const Json&, const std::vector<MetricSeries>&, const std::vector<MetricSeries>&, const Path&) {
  throw UserError(
      "[inspect] this build writes no pages; configure with -DTESSERA_PLAN=ON, which needs NLopt; --plot draws here");
}

}  // namespace tessera::apps
