// The forecast behind --method best: one curve per feature, averaged; resamples of the rungs say how far it can be off.
#pragma once

#include <string>
#include <vector>

#include "core/rng.h"
#include "plan/curves/task_curve.h"

namespace tessera::plan {

/// The curves of one task, one per form; a prediction is their mean.
struct TaskEnsemble {
  size_t task = 0;
  std::string name;
  std::vector<TaskCurve> curves;
  std::vector<RungCheckpoints> coarse;  // per curve: what resamples learn step 2 from

  double accuracy_at(const RunScale& at) const;
};

/// Throws UserError when too few rungs measured a feature.
TaskEnsemble fit_ensemble(const Rungs& rungs, size_t task, const std::string& name, const std::vector<Form>& forms);

/// One resample: every rung weighs as an exponential draw (the Bayesian bootstrap of Rubin 1981), the centres of the
/// prior are drawn from the prior, and the features are mixed in random shares, so that what they disagree about counts
/// as uncertainty. Returns one accuracy per entry of `at`.
std::vector<double> resampled_accuracies(const TaskEnsemble& ensemble, const Rungs& rungs,
                                         const std::vector<RunScale>& at, Rng rng);

/// Prediction and the resamples' quantiles on both sides of it.
struct Spread {
  double point = 0, low = 0, high = 0;
};

/// `samples`: accuracies of the resamples for one target. `coverage`: 0.8 takes the 10% and 90% quantiles. `widen` stretches
/// the distances to the point; the result stays in [0, 1].
Spread spread_of(std::vector<double> samples, double point, double coverage, double widen = 1);

/// Linear interpolation between order statistics; `values` is sorted by the call. q in [0, 1].
double quantile(std::vector<double>& values, double q);

}  // namespace tessera::plan
