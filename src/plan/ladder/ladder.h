// Model ladders (arXiv 2412.04403): accuracies of a large run, predicted from small runs of the same recipe.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "plan/curves/hindcast.h"

namespace tessera::plan {

/// A run that is to be predicted. Its compute comes from flops_per_token_of unless it is set.
struct LadderTarget {
  std::string name;
  RunScale scale;
};

/// "7B=6.9B:3.9T", "big=7e9:4e12": name, non-embedding parameters, training tokens (k, M, B, T allowed). Throws UserError.
LadderTarget parse_target(const std::string& text);

enum class LadderMethod { best, paper };

struct LadderOptions {
  LadderMethod method = LadderMethod::best;
  std::optional<Feature> feature;  // paper: bits per byte unless set; best: chosen by hindcast unless set
  bool single_step = false;        // paper only: accuracy straight from size and tokens
  std::vector<std::string> tasks;  // empty: default_tasks()
  std::vector<double> weights;     // of the tasks in their average, aligned with `tasks`; empty: all the same
  std::map<std::string, double> chance,
      ceiling;                        // by task: accuracies of guessing and of the best possible model, where
                                      // they are known better than from the name and the rungs
  std::vector<LadderTarget> targets;  // empty: the table's own
  double max_rung_params = 0;         // above 0: rungs up to this size only
  size_t resamples = 1000;            // best only
  double coverage = 0.8;              // share of intervals that shall hold the truth
  uint64_t seed = 0;
  int threads = 0;  // 0: one per core
};

/// One accuracy, as a fraction. Empty: no interval (--method paper), no such run in the table.
struct LadderPrediction {
  std::string target, task;
  double predicted = 0;
  std::optional<double> low, high, actual, abs_error_points, rel_error_percent;
};
template <class V> void fields(V& v, LadderPrediction& p) {
  v("target", p.target, "");
  v("task", p.task, "");
  v("predicted", p.predicted, "accuracy, a fraction");
  v("low", p.low, "lower end of the interval");
  v("high", p.high, "upper end");
  v("actual", p.actual, "what the table measured");
  v("abs_error_points", p.abs_error_points, "|predicted - actual| x 100");
  v("rel_error_percent", p.rel_error_percent, "the same as a share of the actual, in percent");
}

/// The weighted mean over the tasks of one target. Errors of tasks go together, so that its interval is wider than if
/// they were independent. What was measured is there when every task was.
struct LadderMean {
  std::string target;
  double predicted = 0;
  std::optional<double> low, high, actual, abs_error_points;
};
template <class V> void fields(V& v, LadderMean& m) {
  v("target", m.target, "");
  v("predicted", m.predicted, "weighted mean of the accuracies, a fraction");
  v("low", m.low, "lower end of its interval");
  v("high", m.high, "upper end");
  v("actual", m.actual, "what the table measured");
  v("abs_error_points", m.abs_error_points, "|predicted - actual| x 100");
}

/// A run that would narrow the target's intervals.
struct NextRung {
  RunScale scale;
  double narrowing = 0;  // mean share by which the intervals' width shrinks
};

struct LadderForecast {
  std::vector<LadderTarget> targets;
  std::vector<size_t> tasks;                  // indices into the table
  std::vector<double> weights;                // of the tasks, sum to 1
  std::vector<LadderPrediction> predictions;  // target by target, task by task
  std::vector<LadderMean> means;              // one per target
  std::vector<std::string> warnings;
  std::vector<TaskEnsemble> curves;  // one per task, for plots; empty for the single step
  // --method best only:
  std::vector<JudgedForm> judged;  // every form that was tried
  std::vector<HindcastSplit> splits;
  std::vector<Hindcast> hindcasts;
  std::vector<Predictability> predictable;  // one per task
  double scale = 1;                         // of the intervals, from the hindcasts
  double correlation = 0;                   // of the tasks' errors
  std::optional<NextRung> next;
};

/// The weighted mean over the tasks of what the forecast's curves say of a scale.
double mean_accuracy(const LadderForecast& forecast, const RunScale& at);

/// How far a forecast is: work done, work in all.
using LadderProgress = std::function<void(size_t done, size_t total)>;

/// Fits the ladder and predicts. Throws UserError: no target, an unknown task (names the nearest), too few rungs, a
/// feature that the table lacks.
LadderForecast forecast_ladder(const LadderTable& table, const LadderOptions& options,
                               const LadderProgress& progress = {});

/// The warnings that a person should read before they believe a forecast (docs/planning.md lists them).
std::vector<std::string> ladder_warnings(const LadderTable& table, const Rungs& rungs, const LadderOptions& options,
                                         const LadderForecast& forecast);

/// The rungs that the options allow. Throws UserError when there are none.
Rungs chosen_rungs(const LadderTable& table, const LadderOptions& options);

}  // namespace tessera::plan
