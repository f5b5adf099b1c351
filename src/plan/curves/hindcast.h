// Predicting the largest rungs from the smaller ones: what a ladder can say of its own reliability before any target is
// looked at. Forms are weighed, and intervals scaled, by what is seen here.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "plan/curves/prediction_error.h"

namespace tessera::plan {

/// Rungs to learn from and rungs to predict.
struct HindcastSplit {
  std::string name;  // "without the largest size"
  Rungs learn, predict;
};

/// The splits that a ladder allows; those that would leave fewer than six rungs, one size or one length of training are
/// left out, so a small ladder may have none.
std::vector<HindcastSplit> hindcast_splits(const Rungs& rungs);

/// One accuracy of a held-out rung, predicted by one form alone or by an ensemble.
struct Hindcast {
  size_t split = 0, task = 0;  // indices into the splits and the table's tasks
  const LadderRun* run = nullptr;
  double predicted = 0, measured = 0;
  double baseline = 0;       // the accuracy of the largest rung that was learnt from
  double low = 0, high = 0;  // ensembles only: the interval, not scaled
};

/// Mean absolute error: the mean over splits of the mean within each; NaN without hindcasts.
double hindcast_error(const std::vector<Hindcast>& hindcasts);

/// Every held-out accuracy of one task from one form; none from splits that did not measure its feature.
std::vector<Hindcast> hindcast_form(const std::vector<HindcastSplit>& splits, const LadderTask& task, const Form& form);

/// A form and its hindcasts of every task.
struct JudgedForm {
  Form form;
  double error = 0;                              // over all tasks; NaN without hindcasts
  double share = 0;                              // of the forecasts, mean over the tasks
  std::vector<std::vector<Hindcast>> hindcasts;  // by task, aligned with the forecast's tasks
};

/// How much each form counts for one task: as the inverse square of its mean squared error in hindcasts, the task's own
/// and that over all tasks taken half and half. Forms that would count less than an eighth of the best are left out, and
/// all but the best four. `usable`: forms whose feature the task's rungs measured. Without hindcasts the plainest form of
/// each feature but the cross entropy over choices, which did worst on the ladder that ships, and of none but accuracy
/// where no loss was measured.
std::vector<SharedForm> weigh_forms(const std::vector<JudgedForm>& judged, size_t task,
                                    const std::vector<bool>& usable);

/// Every held-out accuracy of one task from the mixture `forms`, with intervals.
std::vector<Hindcast> hindcast_ensemble(const std::vector<HindcastSplit>& splits, const LadderTask& task,
                                        const std::vector<SharedForm>& forms, double coverage, size_t resamples,
                                        Rng rng);

/// Whether the ladder can say anything of a task. `skill` is 1 less the mean squared error of the hindcasts over that of
/// "as the largest rung that was learnt from"; NaN without hindcasts.
struct Predictability {
  double skill = 0;
  double rise = 0;  // of the rungs' accuracies, from the cheaper third to the dearest, in units of their scatter
  bool is_predictable = true;
  std::string why;  // not, in words; empty otherwise
};
Predictability predictability(const Rungs& rungs, const LadderTask& task, double scatter,
                              const std::vector<Hindcast>& hindcasts);

/// By how much intervals must be scaled: what would have covered the share `coverage` of the hindcasts, every split having
/// the same weight, drawn towards 1 as if so many splits more had been covered as they should. More than 1 when there are
/// none to learn from.
double interval_scale(const std::vector<Hindcast>& hindcasts, double coverage);

/// How much the errors of two tasks of one run go together, from 0 to 1: the mean product of their standardised errors,
/// drawn towards what other ladders show.
double error_correlation(const std::vector<Hindcast>& hindcasts);

}  // namespace tessera::plan
