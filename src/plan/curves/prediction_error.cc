// The constants are the protocol's (docs/planning.md): from simulated families and hindcasts, not from a target.
#include "plan/curves/prediction_error.h"

#include <algorithm>
#include <cmath>

#include "plan/curves/random.h"

namespace tessera::plan {

namespace {

// The form's error: a share of the way from the largest rung's accuracy to the prediction, and so much for every factor of
// ten in compute beyond the largest rung and half a factor.
constexpr double kOfChange = 0.3, kPerDecade = 0.007;
// The resamples draw the priors' centres too, and so are wider than the fits' errors.
constexpr double kOfResamples = 0.8;

/// The standard deviation of a measured accuracy, up to a factor that the number of questions sets.
double binomial_spread(double accuracy) {
  const double p = std::clamp(accuracy, 0.02, 0.98);
  return std::sqrt(p * (1 - p));
}

}  // namespace

ErrorSources error_sources(const TaskEnsemble& ensemble, const RunScale& at, double predicted) {
  const double decades = std::max(0.0, std::log10(at.flops / ensemble.largest_flops));
  const double length = at.tokens / at.params;  // outside the rungs' too it is the law's form that answers
  const double lengths = std::max({0.0, std::log10(length / ensemble.longest), std::log10(ensemble.shortest / length)});
  const double change = kOfChange * (predicted - ensemble.largest_accuracy);
  const double way = kPerDecade * (0.5 + decades + lengths);
  double run = 0;  // the target's own run scatters about the law as the rungs do, where accuracy may follow loss faster
  for (size_t f = 0; f < ensemble.curves.size(); ++f) {
    run += ensemble.shares[f] * ensemble.curves[f].accuracy_scatter(at);
  }
  const double scatter = ensemble.scatter * binomial_spread(predicted) / binomial_spread(ensemble.largest_accuracy);
  return {std::sqrt(ensemble.nearby.novelty(at)) * std::hypot(change, way), std::max(scatter, run)};
}

Spread spread_of(std::vector<double> samples, double point, const ErrorSources& sources, double coverage,
                 double scale) {
  const double middle = quantile(samples, 0.5), tail = (1 - coverage) / 2;
  const double others = normal_tail(coverage) * std::hypot(sources.form, sources.noise);
  const double down = std::hypot(kOfResamples * (middle - quantile(samples, tail)), others);
  const double up = std::hypot(kOfResamples * (quantile(samples, 1 - tail) - middle), others);
  return {point, std::max(0.0, point - scale * down), std::min(1.0, point + scale * up)};
}

}  // namespace tessera::plan
