// Features between compute and accuracy: the final and intermediate losses of a ladder's runs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/curves/curves.h"
#include "plan/ladder/ladder_table.h"

namespace tessera::plan {

/// The quantity that is predicted first and turned into accuracy second (arXiv 2412.04403, sections 3 and 5.3).
enum class Feature {
  bpb,    // bits per byte of the task's gold answers: the paper's choice
  loss,   // language-model loss on text (column c4_loss)
  ce,     // cross entropy over the task's choices
  flops,  // a loss that was measured (bits per byte, else text, else choices), predicted from compute alone
  acc,    // none: accuracy straight from size and tokens (arXiv 2512.08894)
};

/// A feature, which checkpoints turn it into accuracy, and how its law is fitted.
struct Form {
  Feature feature = Feature::bpb;
  double skip = 0.1;  // the first checkpoints of each run are skipped
  bool tied = false;  // one exponent for size and tokens: a law of compute and tokens per parameter (arXiv 2403.08540)
  double emphasis = 0;  // rungs weigh as this power of their compute
  bool operator==(const Form&) const = default;
};

/// "bpb", "loss", "ce", "flops" or "acc"; throws UserError for another word.
Feature parse_feature(std::string_view word);
std::string_view feature_name(Feature feature);

/// Size, tokens and compute of a run.
struct RunScale {
  double params = 0;  // N
  double tokens = 0;  // D
  double flops = 0;   // of training
};

/// The runs that a fit learns from.
using Rungs = std::vector<const LadderRun*>;
Rungs all_rungs(const LadderTable& table);

RunScale final_scale(const LadderRun& run);

/// The rung that took most compute; there must be one.
const LadderRun& largest_rung(const Rungs& rungs);

/// The run's series of a feature, aligned with its checkpoints; empty when the table has none. Of Feature::acc it is the
/// accuracy itself.
const std::vector<double>& feature_series(const LadderRun& run, size_t task, Feature feature);

/// Loss and accuracy that a run ended with (mean_at_end); NaN where nothing was measured near the end.
double final_loss(const LadderRun& run, size_t task, Feature feature, size_t last = kLastCheckpoints);
double final_accuracy(const LadderRun& run, size_t task);

/// One point per rung that has the feature; `weights`, if any, is aligned with `rungs`.
std::vector<LossPoint> loss_points(const Rungs& rungs, size_t task, Feature feature,
                                   const std::vector<double>* weights = nullptr, size_t last = kLastCheckpoints);

/// How step 2 smooths a rung's checkpoints; the defaults are section 3.2's. Where checkpoints are sparse (the last
/// `average` of them reach over more than a tenth of the run's tokens), an average takes in only checkpoints within the
/// tenth before its own, so that it never stands for a model that was trained for less.
struct Smoothing {
  double skip = 0.1;                  // share of the first checkpoints that is dropped
  size_t average = kLastCheckpoints;  // moving average of loss and accuracy
  size_t join = 1;                    // as many neighbours become one point of that weight
};
std::vector<AccuracyPoint> checkpoint_points(const LadderRun& run, size_t task, Feature feature,
                                             const Smoothing& smoothing = {});

/// True when the run ended with a loss of this feature, for step 1, and has a checkpoint with both loss and accuracy, for
/// step 2.
bool has_two_steps(const LadderRun& run, size_t task, Feature feature);

/// How many rungs measured what the feature needs to be fitted, and whether they are enough.
size_t rungs_with(const Rungs& rungs, size_t task, Feature feature);
bool has_feature(const Rungs& rungs, size_t task, Feature feature);

/// Throws UserError when all that `rungs` measured of a feature, or of the task's accuracy, is one and the same number.
void require_variety(const Rungs& rungs, size_t task, std::string_view task_name, Feature feature);

}  // namespace tessera::plan
