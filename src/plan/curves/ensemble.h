// The forecast behind --method best: curves of several forms, mixed, and drawn to what the nearest rungs measured;
// resamples of the rungs say how far it can be off.
#pragma once

#include <string>
#include <vector>

#include "core/rng.h"
#include "plan/curves/task_curve.h"

namespace tessera::plan {

/// What the rungs measured beyond the curves, carried on to sizes and lengths nearby (kriging with an exponential kernel
/// over the logarithms of compute and of tokens per parameter): far from all rungs nothing is left of it.
class NearbyRungs {
 public:
  NearbyRungs() = default;
  NearbyRungs(const Rungs& rungs, size_t task);

  /// What each rung's residual counts at a scale; aligned with `rungs()`.
  std::vector<double> shares_at(const RunScale& at) const;
  /// 1 far from all rungs, near 0 among them: what the rungs leave open.
  double novelty(const RunScale& at) const;

  const std::vector<RunScale>& rungs() const { return rungs_; }
  const std::vector<double>& measured() const { return measured_; }

 private:
  std::vector<double> kernel(const RunScale& at) const;

  std::vector<RunScale> rungs_;   // those that measured the task
  std::vector<double> measured_;  // their final accuracies
  std::vector<double> inverse_;   // of the kernel among them, with noise
};

/// A form and how much it counts.
struct SharedForm {
  Form form;
  double share = 1;
};

/// The curves of one task, one per form. A prediction is their mean by shares, and what the nearby rungs add to it.
struct TaskEnsemble {
  LadderTask task;
  std::vector<TaskCurve> curves;
  std::vector<double> shares;  // sum to 1
  std::vector<FormData> data;  // per curve: what it was learnt from
  NearbyRungs nearby;
  double scatter = 0;           // of the rungs' final accuracies about the curves: measurement noise and run to run
  double largest_accuracy = 0;  // what the curves say of the largest rung
  double largest_flops = 0;
  double shortest = 0, longest = 0;  // tokens per parameter of the rungs

  double accuracy_at(const RunScale& at) const;
};

/// Throws UserError when too few rungs measured a feature.
TaskEnsemble fit_ensemble(const Rungs& rungs, const LadderTask& task, const std::vector<SharedForm>& forms);

/// One resample: every rung weighs as an exponential draw (the Bayesian bootstrap of Rubin 1981), the centres of the
/// priors are drawn from the priors, and the forms are mixed in random shares, so that what they disagree about counts
/// as uncertainty. Tasks that are given the same `rng` draw the same rungs, so that their errors go together. Returns one
/// accuracy per entry of `at`.
std::vector<double> resampled_accuracies(const TaskEnsemble& ensemble, const std::vector<RunScale>& at, Rng rng);

/// Linear interpolation between order statistics, infinities among them; `values` is sorted by the call. q in [0, 1].
double quantile(std::vector<double>& values, double q);

}  // namespace tessera::plan
