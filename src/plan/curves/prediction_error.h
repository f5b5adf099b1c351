// How far a prediction can be off: what the resamples of the rungs show, the error of the form itself, which grows with
// the way to the target, and the noise of what is measured there.
#pragma once

#include <vector>

#include "plan/curves/ensemble.h"

namespace tessera::plan {

/// One standard deviation of each source, in accuracy.
struct ErrorSources {
  double form = 0;   // the truth departs from the fitted form
  double noise = 0;  // the target's own measurement, which follows the binomial distribution, and run
};
ErrorSources error_sources(const TaskEnsemble& ensemble, const RunScale& at, double predicted);

/// Prediction and the ends of its interval.
struct Spread {
  double point = 0, low = 0, high = 0;
};

/// `samples`: accuracies of the resamples for one target. `coverage`: 0.8 for an interval of 80%. The resamples' quantiles
/// are joined with the other sources' as independent errors are, then stretched by `scale`; the result stays in [0, 1].
Spread spread_of(std::vector<double> samples, double point, const ErrorSources& sources, double coverage,
                 double scale = 1);

}  // namespace tessera::plan
