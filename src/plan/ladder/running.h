// A forecast while a run is under way: its first checkpoints move the ladder's prediction and narrow its interval.
#pragma once

#include <string>
#include <vector>

#include "plan/ladder/ladder.h"

namespace tessera::plan {

/// The forecast of one task after a number of tokens of the run.
struct RunningPoint {
  std::string task;
  double tokens = 0, share = 0;  // seen so far; as a share of what is planned
  double predicted = 0, low = 0, high = 0;
};
template <class V> void fields(V& v, RunningPoint& p) {
  v("task", p.task, "");
  v("tokens", p.tokens, "seen so far");
  v("share", p.share, "of the planned tokens");
  v("predicted", p.predicted, "final accuracy, a fraction");
  v("low", p.low, "");
  v("high", p.high, "");
}

/// Takes a run of any role out of the table, so that no fit uses it. Throws UserError that names the nearest run.
LadderRun take_run(LadderTable& table, const std::string& name);

/// Follows `run` towards `forecast`'s first target, checkpoint by checkpoint (at most `steps` of them, evenly spread).
/// Each checkpoint's loss is carried to the end of training as the rungs' losses went from the same share of their own
/// training to their end; the accuracy there and the ladder's own forecast are weighed by their variances. Where a task
/// has no such loss, its point is the ladder's forecast. Needs a forecast of --method best with resamples. Throws
/// UserError: the run has another size than the target, or no checkpoint that is far enough into training.
std::vector<RunningPoint> follow_run(const LadderTable& table, const LadderOptions& options,
                                     const LadderForecast& forecast, const LadderRun& run, size_t steps = 12);

}  // namespace tessera::plan
