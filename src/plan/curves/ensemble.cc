// Resamples start from the fitted curve, so each costs a few steps of the minimiser.
#include "plan/curves/ensemble.h"

#include <algorithm>
#include <cmath>

#include "plan/curves/random.h"

namespace tessera::plan {

namespace {

// How far a rung's residual reaches, in natural logarithms, and the share of a residual that is noise.
constexpr double kComputeReach = 1.5, kLengthReach = 2, kNoiseShare = 0.5;
constexpr double kScaleOfMedianScatter = 1.4826, kLeastScatter = 0.003;
constexpr size_t kMostNearby = 80;  // rungs, the largest of a table of many

std::vector<double> random_shares(const std::vector<double>& shares, Rng& rng) {
  std::vector<double> drawn(shares.size());
  double sum = 0;
  for (size_t i = 0; i < shares.size(); ++i) sum += drawn[i] = shares[i] * exponential(rng);
  for (double& share : drawn) share /= sum;
  return drawn;
}

ExponentPrior drawn(ExponentPrior prior, Rng& rng) {
  prior.centre_alpha *= std::exp(prior.spread * normal(rng));
  prior.centre_beta *= std::exp(prior.spread * normal(rng));
  return prior;
}

AccuracyRange drawn(AccuracyRange range, Rng& rng) {
  range.floor = std::clamp(range.floor + range.floor_spread * normal(rng), 0.0, 1.0);
  range.ceiling = std::clamp(range.ceiling - std::abs(range.ceiling_spread * normal(rng)), range.floor, 1.0);
  return range;
}

double kernel_of(const RunScale& a, const RunScale& b) {
  const double compute = std::log(a.flops / b.flops) / kComputeReach;
  const double length = std::log(a.tokens / a.params * b.params / b.tokens) / kLengthReach;
  return std::exp(-std::hypot(compute, length));
}

/// The inverse of a symmetric positive definite matrix, in place (Gauss and Jordan without pivots).
void invert(std::vector<double>& a, size_t n) {
  for (size_t p = 0; p < n; ++p) {
    const double pivot = 1 / a[p * n + p];
    a[p * n + p] = 1;
    for (size_t j = 0; j < n; ++j) a[p * n + j] *= pivot;
    for (size_t i = 0; i < n; ++i) {
      if (i == p) continue;
      const double factor = a[i * n + p];
      a[i * n + p] = 0;
      for (size_t j = 0; j < n; ++j) a[i * n + j] -= factor * a[p * n + j];
    }
  }
}

double mixed(const std::vector<TaskCurve>& curves, const std::vector<double>& shares, const RunScale& at) {
  double sum = 0;
  for (size_t i = 0; i < curves.size(); ++i) sum += shares[i] * curves[i].accuracy_at(at);
  return sum;
}

/// The curves' mixture at every entry of `at`, with what the nearby rungs add.
std::vector<double> accuracies_of(const std::vector<TaskCurve>& curves, const std::vector<double>& shares,
                                  const NearbyRungs& nearby, const std::vector<RunScale>& at) {
  std::vector<double> residuals, accuracies;
  for (size_t r = 0; r < nearby.rungs().size(); ++r) {
    residuals.push_back(nearby.measured()[r] - mixed(curves, shares, nearby.rungs()[r]));
  }
  for (const RunScale& each : at) {
    double accuracy = mixed(curves, shares, each);
    const std::vector<double> counts = nearby.shares_at(each);
    for (size_t r = 0; r < residuals.size(); ++r) accuracy += counts[r] * residuals[r];
    accuracies.push_back(std::clamp(accuracy, 0.0, 1.0));
  }
  return accuracies;
}

}  // namespace

NearbyRungs::NearbyRungs(const Rungs& rungs, size_t task) {
  Rungs largest = rungs;
  std::stable_sort(largest.begin(), largest.end(),
                   [](auto* a, auto* b) { return a->final_flops() > b->final_flops(); });
  for (const LadderRun* run : largest) {
    const double accuracy = final_accuracy(*run, task);
    if (std::isnan(accuracy) || rungs_.size() == kMostNearby) continue;
    rungs_.push_back(final_scale(*run));
    measured_.push_back(accuracy);
  }
  const size_t n = rungs_.size();
  inverse_.resize(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      inverse_[i * n + j] = (1 - kNoiseShare) * kernel_of(rungs_[i], rungs_[j]) + (i == j ? kNoiseShare : 0);
    }
  }
  invert(inverse_, n);
}

std::vector<double> NearbyRungs::kernel(const RunScale& at) const {
  std::vector<double> values;
  for (const RunScale& rung : rungs_) values.push_back((1 - kNoiseShare) * kernel_of(rung, at));
  return values;
}

std::vector<double> NearbyRungs::shares_at(const RunScale& at) const {
  const std::vector<double> near = kernel(at);
  const size_t n = near.size();
  std::vector<double> shares(n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) shares[i] += inverse_[i * n + j] * near[j];
  }
  return shares;
}

double NearbyRungs::novelty(const RunScale& at) const {
  const std::vector<double> near = kernel(at), shares = shares_at(at);
  double explained = 0;
  for (size_t i = 0; i < near.size(); ++i) explained += near[i] * shares[i];
  return std::clamp(1 - explained / (1 - kNoiseShare), 0.0, 1.0);
}

double TaskEnsemble::accuracy_at(const RunScale& at) const { return accuracies_of(curves, shares, nearby, {at})[0]; }

TaskEnsemble fit_ensemble(const Rungs& rungs, const LadderTask& task, const std::vector<SharedForm>& forms) {
  TaskEnsemble ensemble{.task = task, .nearby = NearbyRungs(rungs, task.index)};
  for (const SharedForm& each : forms) {
    ensemble.data.push_back(form_data(rungs, task.index, each.form));
    ensemble.curves.push_back(fit_robust_curve(ensemble.data.back(), task, each.form));
    ensemble.shares.push_back(each.share);
  }
  std::vector<double> away;
  for (size_t r = 0; r < ensemble.nearby.rungs().size(); ++r) {
    const double said = mixed(ensemble.curves, ensemble.shares, ensemble.nearby.rungs()[r]);
    away.push_back(std::abs(ensemble.nearby.measured()[r] - said));
  }
  if (!away.empty()) ensemble.scatter = std::max(kLeastScatter, kScaleOfMedianScatter * quantile(away, 0.5));
  const RunScale largest = final_scale(largest_rung(rungs));
  ensemble.largest_flops = largest.flops;
  ensemble.shortest = ensemble.longest = largest.tokens / largest.params;
  for (const LadderRun* run : rungs) {
    ensemble.shortest = std::min(ensemble.shortest, run->final_tokens() / run->params);
    ensemble.longest = std::max(ensemble.longest, run->final_tokens() / run->params);
  }
  ensemble.largest_accuracy = ensemble.accuracy_at(largest);
  return ensemble;
}

std::vector<double> resampled_accuracies(const TaskEnsemble& ensemble, const std::vector<RunScale>& at, Rng rng) {
  std::vector<double> weights(ensemble.data.front().ends.size());
  for (double& weight : weights) weight = exponential(rng);
  const ExponentPrior prior = drawn(ExponentPrior{}, rng);
  LadderTask task = ensemble.task;
  task.range = drawn(task.range, rng);
  const std::vector<double> shares = random_shares(ensemble.shares, rng);
  std::vector<TaskCurve> curves;
  for (size_t f = 0; f < ensemble.curves.size(); ++f) {
    const RobustFit how{&weights, prior, &ensemble.curves[f]};
    curves.push_back(fit_robust_curve(ensemble.data[f], task, ensemble.curves[f].form, how));
  }
  return accuracies_of(curves, shares, ensemble.nearby, at);
}

double quantile(std::vector<double>& values, double q) {
  std::sort(values.begin(), values.end());
  const double rank = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(rank);
  const size_t above = std::min(below + 1, values.size() - 1);
  if (values[below] == values[above]) return values[below];  // two infinities too
  return values[below] + (rank - static_cast<double>(below)) * (values[above] - values[below]);
}

}  // namespace tessera::plan
