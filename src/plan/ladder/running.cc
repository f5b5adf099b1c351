// Two estimates of the final accuracy, combined: the ladder's, and the one that the run's own losses point to.
#include "plan/ladder/running.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/fields.h"
#include "plan/curves/random.h"
#include "plan/quantity.h"

namespace tessera::plan {

namespace {

constexpr double kFirstShare = 0.05;  // before that the learning rate is still warming up
constexpr size_t kSigmoidResamples = 60;
constexpr double kNoScatter = 0.003;  // least scatter granted to a comparison of two losses, in log loss

struct Estimate {
  double mean = 0, variance = 0;
};

/// Log of the loss at a share of a run's training over the loss at its end, between its checkpoints by interpolation; NaN
/// where it has none.
double log_ratio_at(const LadderRun& run, size_t task, Feature feature, double planned, double share) {
  const std::vector<double>& losses = feature_series(run, task, feature);
  const double end = final_loss(run, task, feature), wanted = share * planned;
  double before_tokens = 0, before = kMissing;
  for (size_t i = 0; i < losses.size(); ++i) {
    if (std::isnan(losses[i])) continue;
    if (run.tokens[i] >= wanted) {
      if (run.tokens[i] == wanted) return std::log(losses[i] / end);
      const double way = (wanted - before_tokens) / (run.tokens[i] - before_tokens);
      return std::isnan(before) ? kMissing : std::log((before + way * (losses[i] - before)) / end);
    }
    before_tokens = run.tokens[i];
    before = losses[i];
  }
  return kMissing;
}

/// How far the loss still falls from `share` of the training to its end: mean and variance over the rungs of the dearer
/// half, which are nearest to the target.
Estimate fall_still_to_come(const Rungs& rungs, size_t task, Feature feature, double share) {
  std::vector<std::pair<double, double>> falls;  // compute, log ratio
  for (const LadderRun* run : rungs) {
    const double fall = log_ratio_at(*run, task, feature, run->final_tokens(), share);
    if (!std::isnan(fall)) falls.push_back({run->final_flops(), fall});
  }
  std::sort(falls.rbegin(), falls.rend());
  falls.resize(std::max<size_t>(std::min<size_t>(falls.size(), 4), (falls.size() + 1) / 2));
  if (falls.size() < 3) return {kMissing, kMissing};
  Estimate estimate;
  const auto n = static_cast<double>(falls.size());
  for (const auto& [flops, fall] : falls) estimate.mean += fall / n;
  for (const auto& [flops, fall] : falls) estimate.variance += std::pow(fall - estimate.mean, 2) / (n - 1);
  estimate.variance += kNoScatter * kNoScatter;
  return estimate;
}

/// The final accuracy that one curve reads from a loss at `share` of the run.
Estimate accuracy_from(const TaskCurve& curve, double loss, const Estimate& fall) {
  const double final = loss * std::exp(-fall.mean), spread = std::sqrt(fall.variance);
  const double half = (curve.sigmoid.at(final * std::exp(-spread)) - curve.sigmoid.at(final * std::exp(spread))) / 2;
  return {curve.sigmoid.at(final), half * half};
}

/// Variance of the accuracy that the second step alone is to blame for: the same loss through resampled sigmoids.
double variance_of_sigmoid(const TaskEnsemble& ensemble, const Rungs& rungs, const RunScale& at, Rng rng) {
  double sum = 0, square = 0;
  for (size_t i = 0; i < kSigmoidResamples; ++i) {
    Rng draw = rng.split(i);
    std::vector<double> weights(rungs.size());
    for (double& weight : weights) weight = exponential(draw);
    double accuracy = 0, shares = 0;
    for (size_t f = 0; f < ensemble.curves.size(); ++f) {
      const TaskCurve& curve = ensemble.curves[f];
      if (curve.direct) continue;
      const TaskCurve again = fit_robust_curve(ensemble.data[f], ensemble.task, curve.form, {&weights, {}, &curve});
      accuracy += ensemble.shares[f] * again.sigmoid.at(curve.loss_at(at));
      shares += ensemble.shares[f];
    }
    accuracy /= shares;
    sum += accuracy;
    square += accuracy * accuracy;
  }
  const auto n = static_cast<double>(kSigmoidResamples);
  return std::max(0.0, square / n - sum * sum / (n * n));
}

/// Mean squared difference between the rungs' final accuracies and those that their final losses predict.
double misfit_of_sigmoid(const TaskEnsemble& ensemble, const Rungs& rungs) {
  double sum = 0, count = 0;
  for (const LadderRun* run : rungs) {
    double read = 0, shares = 0;
    for (size_t f = 0; f < ensemble.curves.size(); ++f) {
      const TaskCurve& curve = ensemble.curves[f];
      if (curve.direct) continue;
      read += ensemble.shares[f] * curve.sigmoid.at(final_loss(*run, ensemble.task.index, curve.form.feature));
      shares += ensemble.shares[f];
    }
    const double away = read / shares - final_accuracy(*run, ensemble.task.index);
    if (!std::isnan(away)) {
      sum += away * away;
      ++count;
    }
  }
  return count > 0 ? sum / count : 0;
}

/// The mean over the curves of what the run's loss at checkpoint `c` says; NaN when no curve's loss was measured.
Estimate live_estimate(const TaskEnsemble& ensemble, const Rungs& rungs, const LadderRun& run, size_t c, double share) {
  Estimate live;
  double count = 0;
  for (size_t f = 0; f < ensemble.curves.size(); ++f) {
    const TaskCurve& curve = ensemble.curves[f];
    const std::vector<double>& losses = feature_series(run, ensemble.task.index, curve.form.feature);
    if (curve.direct || losses.empty() || std::isnan(losses[c])) continue;
    const Estimate fall = fall_still_to_come(rungs, ensemble.task.index, curve.form.feature, share);
    if (std::isnan(fall.mean)) continue;
    const Estimate one = accuracy_from(curve, losses[c], fall);
    live.mean += ensemble.shares[f] * one.mean;
    live.variance += ensemble.shares[f] * one.variance;
    count += ensemble.shares[f];
  }
  if (count == 0) return {kMissing, kMissing};
  return {live.mean / count, live.variance / count};  // the curves' errors go together: no gain from their number
}

std::vector<size_t> spread_out(const LadderRun& run, double planned, size_t steps) {
  std::vector<size_t> usable;
  for (size_t c = 0; c < run.tokens.size(); ++c) {
    if (run.tokens[c] >= kFirstShare * planned && run.tokens[c] <= planned * (1 + 1e-9)) usable.push_back(c);
  }
  if (usable.size() <= steps) return usable;
  if (steps < 2) return {usable.back()};
  std::vector<size_t> chosen;
  for (size_t i = 0; i < steps; ++i) chosen.push_back(usable[i * (usable.size() - 1) / (steps - 1)]);
  return chosen;
}

}  // namespace

LadderRun take_run(LadderTable& table, const std::string& name) {
  std::vector<std::string> names;
  for (auto* runs : {&table.targets, &table.runs}) {
    for (auto run = runs->begin(); run != runs->end(); ++run) {
      names.push_back(run->name);
      if (run->name != name) continue;
      LadderRun taken = std::move(*run);
      runs->erase(run);
      return taken;
    }
  }
  throw UserError("[plan] {} has no run '{}'; the nearest is '{}'", table.source, name, nearest_word(name, names));
}

std::vector<RunningPoint> follow_run(const LadderTable& table, const LadderOptions& options,
                                     const LadderForecast& forecast, const LadderRun& run, size_t steps) {
  const LadderTarget& target = forecast.targets.front();
  if (std::abs(run.params / target.scale.params - 1) > 0.01) {
    throw UserError("[plan] run '{}' has {} parameters, target {} has {}; they must be the same run", run.name,
                    short_number(run.params), target.name, short_number(target.scale.params));
  }
  const Rungs rungs = chosen_rungs(table, options);
  const double tail = normal_tail(options.coverage);
  std::vector<RunningPoint> points;
  bool heard = false;  // some loss of the run could be carried to its end
  for (size_t t = 0; t < forecast.tasks.size(); ++t) {
    const TaskEnsemble& ensemble = forecast.curves[t];
    const LadderPrediction& ladder = forecast.predictions[t];
    if (!ladder.low)
      throw UserError("[plan] following a run needs intervals; want --method best and resamples above 0");
    const double deviation = (*ladder.high - *ladder.low) / 2 / tail;
    const double ladder_variance = deviation * deviation + 1e-10;
    const bool has_sigmoid = std::ranges::any_of(ensemble.curves, [](auto& curve) { return !curve.direct; });
    const double shared =
        has_sigmoid ? variance_of_sigmoid(ensemble, rungs, target.scale, Rng(options.seed, 1000 + t)) : 0;
    const double misfit = has_sigmoid ? misfit_of_sigmoid(ensemble, rungs) : 0;
    for (const size_t c : spread_out(run, target.scale.tokens, steps)) {
      const double share = run.tokens[c] / target.scale.tokens;
      Estimate live = live_estimate(ensemble, rungs, run, c, share);
      if (std::isnan(live.mean)) {  // no loss says more than the ladder does
        points.push_back({ensemble.task.name, run.tokens[c], share, ladder.predicted, *ladder.low, *ladder.high});
        continue;
      }
      heard = true;
      live.variance += shared + misfit + 1e-10;
      const double weight = ladder_variance / (ladder_variance + live.variance);
      const double mean = ladder.predicted + weight * (live.mean - ladder.predicted);
      // Both estimates go through one sigmoid, so that together they are no more certain than it is.
      const double variance = std::max(std::min(shared, ladder_variance), (1 - weight) * ladder_variance);
      const double half = tail * std::sqrt(variance);
      points.push_back(
          {ensemble.task.name, run.tokens[c], share, mean, std::max(0.0, mean - half), std::min(1.0, mean + half)});
    }
  }
  if (heard) return points;
  throw UserError(
      "[plan] run '{}' cannot be forecast yet: want a checkpoint with a loss that the rungs have too, after {:.0f}% of "
      "the {} tokens of target {}",
      run.name, 100 * kFirstShare, short_number(target.scale.tokens), target.name);
}

}  // namespace tessera::plan
