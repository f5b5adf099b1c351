// Accuracy straight from size and tokens, with priors on exponents, floor and ceiling.
#include <algorithm>
#include <array>
#include <cmath>

#include "plan/curves/curves.h"

namespace tessera::plan {

namespace {

constexpr double kMostExponent = 60;   // of the starts: exp(-60) is nothing
constexpr double kFixedSpread = 1e-5;  // of an end that is given

/// Residuals r and their slopes, gathered as a sum of squares with Gauss and Newton's matrix.
struct SquareSum {
  std::span<double> gradient, curvature;
  double sum = 0;

  void add(double weight, double residual, const std::array<double, 6>& by) {
    const size_t n = gradient.size();
    sum += 0.5 * weight * residual * residual;
    for (size_t i = 0; i < n; ++i) {
      gradient[i] += weight * residual * by[i];
      for (size_t j = 0; j < n; ++j) curvature[i * n + j] += weight * by[i] * by[j];
    }
  }
  void add_prior(size_t at, double residual, double slope) {
    std::array<double, 6> by{};
    by[at] = slope;
    add(1, residual, by);
  }
};

/// x = (log A, alpha, floor, ceiling) and, of size and tokens, (log B, beta).
struct DirectObjective {
  struct Point {
    double log_n, log_d, accuracy, weight;
  };
  std::vector<Point> points;
  const DirectFitOptions& options;

  double operator()(std::span<const double> x, std::span<double> gradient, std::span<double> curvature) const {
    std::fill(gradient.begin(), gradient.end(), 0.0);
    std::fill(curvature.begin(), curvature.end(), 0.0);
    SquareSum squares{gradient, curvature};
    const bool both = !options.compute_only;
    for (const Point& point : points) {
      const double size = std::exp(x[0] - x[1] * point.log_n);
      const double data = both ? std::exp(x[4] - x[5] * point.log_d) : 0;
      const double known = std::exp(-size - data), slope = -(x[3] - x[2]) * known / options.noise;
      std::array<double, 6> by = {slope * size, -slope * size * point.log_n, (1 - known) / options.noise,
                                  known / options.noise};
      if (both) {
        by[4] = slope * data;
        by[5] = -slope * data * point.log_d;
      }
      squares.add(point.weight, (x[2] + (x[3] - x[2]) * known - point.accuracy) / options.noise, by);
    }
    const ExponentPrior& prior = options.prior;
    add_exponent(squares, 1, x[1], prior.centre_alpha);
    if (both) add_exponent(squares, 5, x[5], prior.centre_beta);
    const AccuracyRange& range = options.range;
    const double floor_spread = std::max(kFixedSpread, range.floor_spread);
    const double ceiling_spread = std::max(kFixedSpread, range.ceiling_spread);
    squares.add_prior(2, (x[2] - range.floor) / floor_spread, 1 / floor_spread);
    squares.add_prior(3, (x[3] - range.ceiling) / ceiling_spread, 1 / ceiling_spread);
    return squares.sum;
  }

  void add_exponent(SquareSum& squares, size_t at, double exponent, double centre) const {
    const double away = std::log(std::max(exponent, 1e-6) / centre);
    squares.add_prior(at, away / options.prior.spread, 1 / (options.prior.spread * std::max(exponent, 1e-6)));
  }
};

std::vector<std::vector<double>> direct_starts(const DirectObjective& objective) {
  const DirectFitOptions& options = objective.options;
  if (options.warm_start) {
    const DirectLaw& law = *options.warm_start;
    std::vector<double> start = {law.loss.log_a, law.loss.alpha, law.floor, law.ceiling};
    if (!options.compute_only) start.insert(start.end(), {law.loss.log_b, law.loss.beta});
    return {start};
  }
  const auto best = std::max_element(objective.points.begin(), objective.points.end(),
                                     [](const auto& a, const auto& b) { return a.accuracy < b.accuracy; });
  const AccuracyRange& range = options.range;
  const double reached = std::clamp((best->accuracy - range.floor) / (range.ceiling - range.floor), 0.02, 0.98);
  const double missing = std::min(kMostExponent, -std::log(reached));
  std::vector<std::vector<double>> starts;
  for (const double share : {0.3, 0.7}) {  // of what is missing that size is to blame for
    const double alpha = options.prior.centre_alpha, beta = options.prior.centre_beta;
    const double of_size = options.compute_only ? 1 : share;
    std::vector<double> start = {std::log(of_size * missing) + alpha * best->log_n, alpha, range.floor, range.ceiling};
    if (!options.compute_only) {
      start.insert(start.end(), {std::log((1 - share) * missing) + beta * best->log_d, beta});
    }
    starts.push_back(start);
    if (options.compute_only) break;
  }
  return starts;
}

}  // namespace

Fitted<DirectLaw> fit_direct_law(const std::vector<LossPoint>& points, const DirectFitOptions& options) {
  DirectObjective objective{{}, options};
  for (const LossPoint& point : points) {
    objective.points.push_back({std::log(point.n), std::log(point.d), point.loss, point.weight});
  }
  constexpr double none = std::numeric_limits<double>::infinity();
  Bounds bounds{{-none, 1e-4, 0, 0}, {none, 5, 1, 1}};
  if (!options.compute_only) {
    bounds.low.insert(bounds.low.end(), {-none, 1e-4});
    bounds.high.insert(bounds.high.end(), {none, 5});
  }
  const MinimizeOptions how{.max_evaluations = 400, .tolerance = options.warm_start ? 1e-6 : 1e-10};
  const Minimum found = minimize_newton(objective, direct_starts(objective), bounds, how);
  const auto& x = found.x;
  DirectLaw law{{.log_a = x[0], .alpha = x[1]}, x[2], x[3]};
  if (!options.compute_only) {
    law.loss.log_b = x[4];
    law.loss.beta = x[5];
  }
  return {law, found.value, {}};
}

}  // namespace tessera::plan
