// One task's way from size and tokens to accuracy: the law of its loss, then the sigmoid over the loss.
#pragma once

#include <string>
#include <vector>

#include "plan/curves/features.h"

namespace tessera::plan {

/// Both steps of one task in one form. For Feature::flops the law is one of compute alone.
struct TaskCurve {
  Form form;
  LossLaw law;
  Sigmoid sigmoid;
  double scatter = 0;                 // of the rungs about the law, in log loss
  std::vector<std::string> on_bound;  // "alpha", "L0": parameters that ended on a bound

  double loss_at(const RunScale& at) const;
  double accuracy_at(const RunScale& at) const { return sigmoid.at(loss_at(at)); }
  /// What a run's own scatter does to its accuracy: one standard deviation.
  double accuracy_scatter(const RunScale& at) const;
};

/// Exactly the paper's fit (arXiv 2412.04403, sections 3.1 and 3.2), run to convergence. Throws UserError when fewer
/// rungs measured the feature than the law has parameters.
TaskCurve fit_paper_curve(const Rungs& rungs, size_t task, std::string_view task_name, Feature feature);

/// The paper's ablation in which accuracy follows from size and tokens in one step.
SingleStepLaw fit_paper_single_step(const Rungs& rungs, size_t task, std::string_view task_name);

/// What step 2 learns from: the checkpoints of each rung.
using RungCheckpoints = std::vector<std::vector<AccuracyPoint>>;

/// The rungs' checkpoints in a form, neighbours joined until no rung has more than `most` points; at least `join` of them.
RungCheckpoints rung_checkpoints(const Rungs& rungs, size_t task, const Form& form, size_t join, size_t most);

/// Start and prior knowledge of a regularised fit.
struct RobustFit {
  const std::vector<double>* weights = nullptr;  // per rung
  ExponentPrior prior;
  const TaskCurve* warm_start = nullptr;         // its scatter is kept too
  const RungCheckpoints* checkpoints = nullptr;  // when they are at hand; else all of them, up to 256 points a rung
};

/// The fit behind --method best: the same two laws, with a log-normal prior on the exponents and Huber's loss in units of
/// the rungs' own scatter, so that few or noisy rungs bend it little. docs/planning.md says how it was chosen.
TaskCurve fit_robust_curve(const Rungs& rungs, size_t task, std::string_view task_name, const Form& form,
                           const RobustFit& how = {});

}  // namespace tessera::plan
