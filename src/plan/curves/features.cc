// Series of a run, cut and smoothed as the paper does.
#include "plan/curves/features.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/fields.h"

namespace tessera::plan {

namespace {

constexpr std::array<std::string_view, 5> kNames = {"bpb", "loss", "ce", "flops", "acc"};
constexpr size_t kFewestRungs = 4;

/// One measured checkpoint.
struct Pair {
  double tokens, loss, accuracy;
};

bool any_measured(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [](double value) { return !std::isnan(value); });
}

/// True when the last `count` checkpoints all lie near the run's end, as in the runs that the paper averages.
bool is_dense(const std::vector<Pair>& pairs, size_t count) {
  if (pairs.size() < 2) return false;
  const size_t from = pairs.size() > count ? pairs.size() - count : 0;
  return pairs[from].tokens > (1 - kReach) * pairs.back().tokens;
}

/// Means of loss and accuracy over the last `count` checkpoints up to and including each one; fewer at the start, and
/// where checkpoints are sparse.
std::vector<Pair> moving_average(const std::vector<Pair>& pairs, size_t count) {
  const bool by_rows = is_dense(pairs, count);
  std::vector<Pair> means(pairs.size());
  for (size_t i = 0; i < pairs.size(); ++i) {
    double taken = 0, loss = 0, accuracy = 0;
    for (size_t j = i + 1; j-- > 0 && i - j < count;) {
      if (!by_rows && pairs[j].tokens <= (1 - kReach) * pairs[i].tokens) break;
      ++taken;
      loss += pairs[j].loss;
      accuracy += pairs[j].accuracy;
    }
    means[i] = {pairs[i].tokens, loss / taken, accuracy / taken};
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

const LadderRun& largest_rung(const Rungs& rungs) {
  return **std::max_element(rungs.begin(), rungs.end(),
                            [](auto* a, auto* b) { return a->final_flops() < b->final_flops(); });
}

RunScale final_scale(const LadderRun& run) { return {run.params, run.final_tokens(), run.final_flops()}; }

const std::vector<double>& feature_series(const LadderRun& run, size_t task, Feature feature) {
  const TaskSeries& series = run.tasks[task];
  switch (feature) {
    case Feature::loss:
      return run.loss;
    case Feature::ce:
      return series.ce;
    case Feature::acc:
      return series.acc;
    case Feature::flops:
      if (any_measured(series.bpb)) return series.bpb;
      if (any_measured(run.loss)) return run.loss;
      return any_measured(series.ce) ? series.ce : series.bpb;
    default:
      return series.bpb;
  }
}

double final_loss(const LadderRun& run, size_t task, Feature feature, size_t last) {
  return mean_at_end(run.tokens, feature_series(run, task, feature), last);
}

double final_accuracy(const LadderRun& run, size_t task) { return mean_at_end(run.tokens, run.tasks[task].acc); }

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
  std::vector<Pair> pairs;
  for (size_t i = 0; i < losses.size(); ++i) {
    if (!std::isnan(losses[i]) && !std::isnan(accuracies[i]))
      pairs.push_back({run.tokens[i], losses[i], accuracies[i]});
  }
  if (pairs.size() > 1) {  // a run known by its end alone keeps it
    const double dropped = std::ceil(smoothing.skip * static_cast<double>(pairs.size()));
    pairs.erase(pairs.begin(), pairs.begin() + static_cast<std::ptrdiff_t>(dropped));
  }
  pairs = moving_average(pairs, smoothing.average);
  std::vector<AccuracyPoint> points;
  for (size_t from = 0; from < pairs.size(); from += smoothing.join) {
    const size_t to = std::min(from + smoothing.join, pairs.size());
    AccuracyPoint point{0, 0, static_cast<double>(to - from)};
    for (size_t i = from; i < to; ++i) {
      point.loss += pairs[i].loss / point.weight;
      point.accuracy += pairs[i].accuracy / point.weight;
    }
    points.push_back(point);
  }
  return points;
}

bool has_two_steps(const LadderRun& run, size_t task, Feature feature) {
  if (std::isnan(final_loss(run, task, feature))) return false;
  const std::vector<double>&losses = feature_series(run, task, feature), &accuracies = run.tasks[task].acc;
  for (size_t i = 0; i < losses.size(); ++i) {
    if (!std::isnan(losses[i]) && !std::isnan(accuracies[i])) return true;
  }
  return false;
}

size_t rungs_with(const Rungs& rungs, size_t task, Feature feature) {
  const bool no_loss_needed = feature == Feature::flops;  // without one, accuracy follows from compute in one step
  const auto measured = [&](const LadderRun* run) {
    if (std::isnan(final_accuracy(*run, task))) return false;
    return no_loss_needed || has_two_steps(*run, task, feature);
  };
  return static_cast<size_t>(std::count_if(rungs.begin(), rungs.end(), measured));
}

bool has_feature(const Rungs& rungs, size_t task, Feature feature) {
  return rungs_with(rungs, task, feature) >= kFewestRungs;
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
