// Series of a run, cut and smoothed as the paper does.
#include "plan/curves/features.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/fields.h"

namespace tessera::plan {

namespace {

constexpr std::array<std::string_view, 4> kNames = {"bpb", "loss", "ce", "flops"};
constexpr size_t kFewestRungs = 4;

/// Mean over the last `count` values up to and including each one; fewer at the start.
std::vector<double> moving_average(const std::vector<double>& values, size_t count) {
  std::vector<double> means(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t from = i + 1 > count ? i + 1 - count : 0;
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(from);
    const auto end = values.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    means[i] = std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin);
  }
  return means;
}

/// `series_of` a run is one of its columns.
template <class SeriesOf>
void refuse_constant(const Rungs& rungs, const std::string& column, const SeriesOf& series_of) {
  size_t count = 0;
  double first = 0;
  for (const LadderRun* run : rungs) {
    for (const double value : series_of(*run)) {
      if (std::isnan(value)) continue;
      if (count++ == 0) first = value;
      if (value != first) return;
    }
  }
  if (count < 2) return;
  throw UserError("[plan] constant column '{}': {} in all {} rows of the rungs, so there is nothing to learn from",
                  column, first, count);
}

}  // namespace

Feature parse_feature(std::string_view word) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == word) return static_cast<Feature>(i);
  }
  throw UserError("[plan] feature '{}'; want one of {} (nearest: '{}')", word, fmt::join(kNames, ", "),
                  nearest_word(word, {kNames.begin(), kNames.end()}));
}

std::string_view feature_name(Feature feature) { return kNames[static_cast<size_t>(feature)]; }

Rungs all_rungs(const LadderTable& table) {
  Rungs rungs;
  for (const LadderRun& run : table.runs) rungs.push_back(&run);
  return rungs;
}

RunScale final_scale(const LadderRun& run) { return {run.params, run.final_tokens(), run.final_flops()}; }

const std::vector<double>& feature_series(const LadderRun& run, size_t task, Feature feature) {
  if (feature == Feature::loss) return run.loss;
  return feature == Feature::ce ? run.tasks[task].ce : run.tasks[task].bpb;
}

double final_loss(const LadderRun& run, size_t task, Feature feature, size_t last) {
  return mean_of_last(feature_series(run, task, feature), last);
}

double final_accuracy(const LadderRun& run, size_t task) { return mean_of_last(run.tasks[task].acc, kLastCheckpoints); }

double final_accuracy_error(const LadderRun& run, size_t task) {
  std::vector<double> last;
  const std::vector<double>& all = run.tasks[task].acc;
  for (size_t i = all.size(); i-- > 0 && last.size() < kLastCheckpoints;) {
    if (!std::isnan(all[i])) last.push_back(all[i]);
  }
  if (last.size() < 2) return 0;
  const double mean = final_accuracy(run, task), n = static_cast<double>(last.size());
  double sum = 0;
  for (const double value : last) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / (n - 1) / n);
}

std::vector<LossPoint> loss_points(const Rungs& rungs, size_t task, Feature feature, const std::vector<double>* weights,
                                   size_t last) {
  std::vector<LossPoint> points;
  for (size_t i = 0; i < rungs.size(); ++i) {
    const double loss = final_loss(*rungs[i], task, feature, last);
    if (std::isnan(loss)) continue;
    const RunScale at = final_scale(*rungs[i]);
    points.push_back({feature == Feature::flops ? at.flops : at.params, at.tokens, loss, weights ? (*weights)[i] : 1});
  }
  return points;
}

std::vector<AccuracyPoint> checkpoint_points(const LadderRun& run, size_t task, Feature feature,
                                             const Smoothing& smoothing) {
  const std::vector<double>&losses = feature_series(run, task, feature), &accuracies = run.tasks[task].acc;
  std::vector<double> loss, accuracy;
  for (size_t i = 0; i < losses.size(); ++i) {
    if (std::isnan(losses[i]) || std::isnan(accuracies[i])) continue;
    loss.push_back(losses[i]);
    accuracy.push_back(accuracies[i]);
  }
  if (loss.size() > 1) {  // a run known by its end alone keeps it
    const auto dropped = static_cast<std::ptrdiff_t>(std::ceil(smoothing.skip * static_cast<double>(loss.size())));
    loss.erase(loss.begin(), loss.begin() + dropped);
    accuracy.erase(accuracy.begin(), accuracy.begin() + dropped);
  }
  loss = moving_average(loss, smoothing.average);
  accuracy = moving_average(accuracy, smoothing.average);
  std::vector<AccuracyPoint> points;
  for (size_t from = 0; from < loss.size(); from += smoothing.join) {
    const size_t to = std::min(from + smoothing.join, loss.size());
    AccuracyPoint point{0, 0, static_cast<double>(to - from)};
    for (size_t i = from; i < to; ++i) {
      point.loss += loss[i] / point.weight;
      point.accuracy += accuracy[i] / point.weight;
    }
    points.push_back(point);
  }
  return points;
}

bool has_feature(const Rungs& rungs, size_t task, Feature feature) {
  const auto measured = std::count_if(rungs.begin(), rungs.end(), [&](const LadderRun* run) {
    return !std::isnan(final_loss(*run, task, feature)) && !std::isnan(final_accuracy(*run, task));
  });
  return static_cast<size_t>(measured) >= kFewestRungs;
}

void require_variety(const Rungs& rungs, size_t task, std::string_view task_name, Feature feature) {
  const std::string name(task_name);
  const std::string column = feature == Feature::loss ? "c4_loss" : name + (feature == Feature::ce ? "_ce" : "_bpb");
  refuse_constant(
      rungs, column, [&](const LadderRun& run) -> const auto& { return feature_series(run, task, feature); });
  refuse_constant(
      rungs, name + "_acc", [&](const LadderRun& run) -> const auto& { return run.tasks[task].acc; });
}

}  // namespace tessera::plan
