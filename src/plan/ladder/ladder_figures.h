// The figures of a ladder's page: predictions by task, both steps of the fit, hindcasts. The same colour means the same
// rung size, or the same target, in every figure.
#pragma once

#include <vector>

#include "plan/ladder/ladder.h"
#include "plan/report/report.h"

namespace tessera::plan {

/// What a page of a forecast is drawn from.
struct LadderPage {
  const LadderTable& table;
  const LadderOptions& options;
  const LadderForecast& forecast;
  Rungs rungs;                                // those that the forecast learned from
  std::vector<const LadderRun*> target_runs;  // the table's measurements of each target, or null
};

/// A hindcast with the interval that would have been reported: the resamples' quantiles, stretched.
struct WidenedHindcast {
  double low = 0, high = 0;
  bool holds = false;
};
WidenedHindcast widened(const Hindcast& hindcast, double widen);

/// "bits per byte of the right answer"; what a loss of this feature is called on an axis.
std::string_view feature_title(Feature feature);

/// Predicted accuracy of every task, an interval and a ring for what was measured.
Figure prediction_figure(const LadderPage& page);

/// The features that the forecast's curves use, in their order.
std::vector<Feature> used_features(const LadderForecast& forecast);

/// Final losses against tokens (FLOPs for a law of compute): one figure per task; a single one for the language-model
/// loss, which is the same for all tasks.
std::vector<Figure> loss_figures(const LadderPage& page, Feature feature);

/// Accuracy against loss: checkpoints, the sigmoid, and the predicted targets. One figure per task.
std::vector<Figure> sigmoid_figures(const LadderPage& page, Feature feature);

/// Held-out accuracies, predicted against measured.
Figure hindcast_figure(const LadderPage& page);

}  // namespace tessera::plan
