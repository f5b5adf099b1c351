// Predicting the largest rungs from the smaller ones: what a ladder can say of its own reliability before any target is
// looked at. Features are chosen, and intervals scaled, by what is seen here.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "plan/curves/ensemble.h"

namespace tessera::plan {

/// Rungs to learn from and rungs to predict.
struct HindcastSplit {
  std::string name;  // "without the largest size"
  Rungs learn, predict;
};

/// The splits that a ladder allows; those that would leave fewer than six rungs, one size or one length of training are
/// left out, so a small ladder may have none.
std::vector<HindcastSplit> hindcast_splits(const Rungs& rungs);

/// One accuracy of a held-out rung, predicted by one feature alone or by an ensemble.
struct Hindcast {
  size_t split = 0, task = 0;  // indices into the splits and the table's tasks
  const LadderRun* run = nullptr;
  double predicted = 0, measured = 0;
  double low = 0, high = 0;  // ensembles only: the resamples' quantiles, not widened
  double noise = 0;          // ensembles only: standard error of `measured`
};

/// Mean absolute error: the mean over splits of the mean within each; NaN without hindcasts.
double hindcast_error(const std::vector<Hindcast>& hindcasts);

/// Every held-out accuracy of one task from one form.
std::vector<Hindcast> hindcast_form(const std::vector<HindcastSplit>& splits, size_t task, const std::string& name,
                                    const Form& form);

/// A form and its hindcast error over all tasks; NaN without hindcasts.
struct JudgedForm {
  Form form;
  double error = 0;
};

/// Of each feature the form with the least error (a later one must be better by a twentieth), then the features whose
/// error is at most 1.25 times the best feature's. Without hindcasts, the first form of every feature but the cross
/// entropy over choices, which did worst on the ladder that ships.
std::vector<Form> choose_forms(const std::vector<JudgedForm>& judged);

/// Every held-out accuracy of one task from the mean of `forms`, with the quantiles of `resamples` resamples.
std::vector<Hindcast> hindcast_ensemble(const std::vector<HindcastSplit>& splits, size_t task, const std::string& name,
                                        const std::vector<Form>& forms, double coverage, size_t resamples, Rng rng);

/// By how much intervals must be stretched to have covered the share `coverage` of the hindcasts, what was measured being
/// uncertain itself and every split having the same weight; within [0.85, 4], and 1.5 when there are none to learn from.
double widening(const std::vector<Hindcast>& hindcasts, double coverage);

}  // namespace tessera::plan
