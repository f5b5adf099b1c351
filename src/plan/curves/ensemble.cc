// Resamples start from the fitted curve, so each costs a few steps of the minimiser.
#include "plan/curves/ensemble.h"

#include <algorithm>
#include <cmath>

#include "plan/curves/random.h"

namespace tessera::plan {

namespace {

// A resample reads the checkpoints in groups: neighbours are nearly copies of each other.
constexpr size_t kJoin = 6, kMostGroups = 64;

std::vector<double> random_shares(size_t count, Rng& rng) {
  std::vector<double> shares(count);
  double sum = 0;
  for (double& share : shares) sum += share = exponential(rng);
  for (double& share : shares) share /= sum;
  return shares;
}

ExponentPrior drawn(ExponentPrior prior, Rng& rng) {
  prior.centre_alpha *= std::exp(prior.spread * normal(rng));
  prior.centre_beta *= std::exp(prior.spread * normal(rng));
  return prior;
}

}  // namespace

double TaskEnsemble::accuracy_at(const RunScale& at) const {
  double sum = 0;
  for (const TaskCurve& curve : curves) sum += curve.accuracy_at(at);
  return sum / static_cast<double>(curves.size());
}

TaskEnsemble fit_ensemble(const Rungs& rungs, size_t task, const std::string& name, const std::vector<Form>& forms) {
  TaskEnsemble ensemble{task, name, {}, {}};
  for (const Form& form : forms) {
    ensemble.curves.push_back(fit_robust_curve(rungs, task, name, form));
    ensemble.coarse.push_back(rung_checkpoints(rungs, task, form, kJoin, kMostGroups));
  }
  return ensemble;
}

std::vector<double> resampled_accuracies(const TaskEnsemble& ensemble, const Rungs& rungs,
                                         const std::vector<RunScale>& at, Rng rng) {
  std::vector<double> weights(rungs.size());
  for (double& weight : weights) weight = exponential(rng);
  const std::vector<double> shares = random_shares(ensemble.curves.size(), rng);
  std::vector<double> accuracies(at.size());
  for (size_t f = 0; f < ensemble.curves.size(); ++f) {
    const RobustFit how{&weights, drawn({}, rng), &ensemble.curves[f], &ensemble.coarse[f]};
    const TaskCurve curve = fit_robust_curve(rungs, ensemble.task, ensemble.name, ensemble.curves[f].form, how);
    for (size_t i = 0; i < at.size(); ++i) accuracies[i] += shares[f] * curve.accuracy_at(at[i]);
  }
  return accuracies;
}

double quantile(std::vector<double>& values, double q) {
  std::sort(values.begin(), values.end());
  const double rank = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(rank);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (rank - static_cast<double>(below)) * (values[above] - values[below]);
}

Spread spread_of(std::vector<double> samples, double point, double coverage, double widen) {
  const double middle = quantile(samples, 0.5), tail = (1 - coverage) / 2;
  const double down = middle - quantile(samples, tail), up = quantile(samples, 1 - tail) - middle;
  return {point, std::max(0.0, point - widen * down), std::min(1.0, point + widen * up)};
}

}  // namespace tessera::plan
