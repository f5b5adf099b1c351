// One task's way from size and tokens to accuracy: the law of its loss, then the sigmoid over the loss; or one law.
#pragma once

#include <string>
#include <vector>

#include "plan/curves/features.h"

namespace tessera::plan {

/// A task of the table and what is believed of its accuracies before data.
struct LadderTask {
  size_t index = 0;  // into LadderTable::tasks
  std::string name;
  AccuracyRange range;
};

/// The range of a task whose chance level and ceiling were not given: chance_of its name, or what its lowest rungs show;
/// a ceiling of 1, which data near it may lower.
AccuracyRange range_of(const Rungs& rungs, size_t task, std::string_view name);

/// Both steps of one task in one form, or its one step. For Feature::flops the law is one of compute alone.
struct TaskCurve {
  Form form;
  LossLaw law;
  Sigmoid sigmoid;
  std::optional<DirectLaw> direct;    // accuracy in one step; law and sigmoid are not used
  double scatter = 0;                 // of the rungs about the law, in log loss
  double accuracy_noise = 0;          // of checkpoints about the sigmoid, or of rungs about the one law
  std::vector<std::string> on_bound;  // "alpha", "L0": parameters that ended on a bound

  double loss_at(const RunScale& at) const;
  double accuracy_at(const RunScale& at) const;
  /// What a run's own scatter about the law does to its accuracy: one standard deviation.
  double accuracy_scatter(const RunScale& at) const;
};

/// Exactly the paper's fit (arXiv 2412.04403, sections 3.1 and 3.2), run to convergence. Throws UserError when fewer
/// rungs measured the feature than the law has parameters.
TaskCurve fit_paper_curve(const Rungs& rungs, size_t task, std::string_view task_name, Feature feature);

/// The paper's ablation in which accuracy follows from size and tokens in one step. It takes the logarithm, so that an
/// accuracy of 0 counts as half of the least one above it.
SingleStepLaw fit_paper_single_step(const Rungs& rungs, size_t task, std::string_view task_name);

/// What step 2 learns from: the checkpoints of each rung.
using RungCheckpoints = std::vector<std::vector<AccuracyPoint>>;

/// The rungs' checkpoints in a form, neighbours joined until no rung has more than `most` points; at least `join` of them.
RungCheckpoints rung_checkpoints(const Rungs& rungs, size_t task, const Form& form, size_t join, size_t most);

/// What a form learns from, gathered once for all resamples. Every entry is aligned with the rungs; a rung that did not
/// measure the feature has a loss of NaN.
struct FormData {
  std::vector<LossPoint> ends;  // final losses, for one step final accuracies; weights follow the form's emphasis
  RungCheckpoints checkpoints;
  bool direct = false;  // accuracy in one step
};
FormData form_data(const Rungs& rungs, size_t task, const Form& form);

/// Start and prior knowledge of a regularised fit.
struct RobustFit {
  const std::vector<double>* weights = nullptr;  // per rung
  ExponentPrior prior;
  const TaskCurve* warm_start = nullptr;  // its scatter is kept too
};

/// The fit behind --method best: the same two laws, with a log-normal prior on the exponents and Huber's loss in units of
/// the rungs' own scatter, so that few or noisy rungs bend it little; floor and ceiling of the sigmoid have the priors of
/// task.range. docs/planning.md says how it was chosen. Throws UserError when fewer than four rungs measured the feature.
TaskCurve fit_robust_curve(const FormData& data, const LadderTask& task, const Form& form, const RobustFit& how = {});

}  // namespace tessera::plan
