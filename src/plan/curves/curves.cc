// Objectives with analytic gradients, and the starts and bounds they are minimised from.
#include "plan/curves/curves.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace tessera::plan {

namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();

/// Huber's loss with its first and second derivative.
struct Huber {
  double value, slope, bend;

  Huber(double residual, double delta) {
    const bool inside = std::abs(residual) < delta;
    value = inside ? 0.5 * residual * residual : delta * (std::abs(residual) - 0.5 * delta);
    slope = inside ? residual : std::copysign(delta, residual);
    bend = inside ? 1 : 0;
  }
};

/// ln(1 + exp(z)) without overflow.
double softplus(double z) { return z > 30 ? z : std::log1p(std::exp(z)); }

/// Points with the logarithms that every evaluation needs.
struct LogPoint {
  double log_n, log_d, log_loss, weight;
};

std::vector<LogPoint> logarithms(const std::vector<LossPoint>& points) {
  std::vector<LogPoint> logs;
  logs.reserve(points.size());
  for (const LossPoint& point : points) {
    logs.push_back({std::log(point.n), point.d > 0 ? std::log(point.d) : 0, std::log(point.loss), point.weight});
  }
  return logs;
}

/// x = (log A, alpha, E) of compute alone, (log A, log B, alpha, beta, E), or with tied exponents (log A, log B, alpha, E).
struct LossObjective {
  std::vector<LogPoint> points;
  const LossFitOptions& options;
  bool compute_only;

  size_t beta() const { return options.tied ? 2 : 3; }

  double operator()(std::span<const double> x, std::span<double> gradient, std::span<double> curvature) const {
    const size_t n = x.size(), alpha = compute_only ? 1 : 2, e = n - 1;
    const double unit = options.noise > 0 ? options.noise : 1;
    std::fill(gradient.begin(), gradient.end(), 0.0);
    std::fill(curvature.begin(), curvature.end(), 0.0);
    double sum = 0;
    for (const LogPoint& point : points) {
      const double size = std::exp(x[0] - x[alpha] * point.log_n);
      const double data = compute_only ? 0 : std::exp(x[1] - x[beta()] * point.log_d);
      const double predicted = size + data + x[e];
      const Huber huber((std::log(predicted) - point.log_loss) / unit, options.delta);
      const double slope = point.weight * huber.slope / (unit * predicted);
      sum += point.weight * huber.value;
      std::array<double, 5> by{};  // of `predicted`, by each parameter
      by[0] = size;
      by[alpha] = -size * point.log_n;
      by[e] = 1;
      if (!compute_only) {
        by[1] = data;
        by[beta()] -= data * point.log_d;
      }
      const double bend = (point.weight * huber.bend / (unit * unit * predicted) - slope) / predicted;
      for (size_t i = 0; i < n; ++i) {
        gradient[i] += slope * by[i];
        for (size_t j = 0; j <= i; ++j) curvature[i * n + j] += bend * by[i] * by[j];
      }
      bend_power_law(curvature, n, 0, alpha, slope * size, point.log_n);
      if (!compute_only) bend_power_law(curvature, n, 1, beta(), slope * data, point.log_d);
    }
    if (options.noise > 0) {
      sum += prior(x[alpha], options.prior.centre_alpha, gradient[alpha], curvature[alpha * n + alpha]);
      if (!compute_only && !options.tied) {
        sum += prior(x[3], options.prior.centre_beta, gradient[3], curvature[3 * n + 3]);
      }
    }
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < i; ++j) curvature[j * n + i] = curvature[i * n + j];
    }
    return sum;
  }

  /// Adds the second derivatives of exp(log_a - exponent * log_x), times `slope` over itself, below the diagonal.
  static void bend_power_law(std::span<double> curvature, size_t n, size_t log_a, size_t exponent, double slope,
                             double log_x) {
    curvature[log_a * n + log_a] += slope;
    curvature[exponent * n + log_a] -= slope * log_x;
    curvature[exponent * n + exponent] += slope * log_x * log_x;
  }

  double prior(double exponent, double centre, double& gradient, double& curvature) const {
    const double spread = options.prior.spread, at = std::max(exponent, 1e-9);
    const double away = (std::log(at) - std::log(centre)) / spread;
    gradient += away / (spread * at);
    curvature += (1 / spread - away) / (spread * at * at);
    return 0.5 * away * away;
  }
};

std::vector<std::string> names_of(const std::vector<size_t>& indices, const std::vector<std::string>& names) {
  std::vector<std::string> found;
  for (const size_t index : indices) found.push_back(names[index]);
  return found;
}

/// Starts for a fit with a prior: exponents around the prior, constants that pass through the points.
std::vector<std::vector<double>> starts_around(const LossFitOptions& options, const std::vector<LogPoint>& points) {
  double lowest = kUnbounded, log_n = 0, log_d = 0;
  for (const LogPoint& point : points) {
    lowest = std::min(lowest, point.log_loss);
    log_n += point.log_n / static_cast<double>(points.size());
    log_d += point.log_d / static_cast<double>(points.size());
  }
  std::vector<std::vector<double>> starts;
  for (const double share : {0.2, 0.5, 0.8}) {  // of the lowest loss that is irreducible
    const double alpha = options.prior.centre_alpha, beta = options.prior.centre_beta;
    const double half = std::log((1 - share) / 2) + lowest;
    starts.push_back({half + alpha * log_n, half + beta * log_d, alpha, beta, share * std::exp(lowest)});
  }
  return starts;
}

}  // namespace

double LossLaw::size_term(double n) const { return std::exp(log_a - alpha * std::log(n)); }
double LossLaw::data_term(double d) const { return std::isinf(log_b) ? 0 : std::exp(log_b - beta * std::log(d)); }
double Sigmoid::at(double loss) const {
  if (logarithmic) return 1 + a * softplus(k * (loss - l0));
  return a / (1 + std::exp(-k * (loss - l0))) + b;
}
double DirectLaw::at(double n, double d) const {
  return floor + (ceiling - floor) * std::exp(-loss.size_term(n) - loss.data_term(d));
}
double SingleStepLaw::at(double n, double d) const { return p / (1 + std::exp(-loss.at(n, d))) + q; }

Fitted<LossLaw> fit_loss_law(const std::vector<LossPoint>& points, const LossFitOptions& options) {
  const LossObjective objective{logarithms(points), options, false};
  const size_t count = options.tied ? 4 : 5;
  const Bounds bounds{std::vector<double>(count, 0), std::vector<double>(count, kUnbounded)};
  std::vector<std::vector<double>> starts = {{3, 6, .1, .2, 1}};
  if (options.warm_start) {
    const LossLaw& law = *options.warm_start;
    starts = {{law.log_a, law.log_b, law.alpha, law.beta, law.e}};
  } else if (options.noise > 0) {
    starts = starts_around(options, objective.points);
  }
  if (options.tied) {
    for (auto& start : starts) start.erase(start.begin() + 3);
  }
  const Minimum found = minimize_newton(objective, starts, bounds, {.tolerance = options.warm_start ? 1e-7 : 0});
  const auto& x = found.x;
  const auto names = options.tied ? std::vector<std::string>{"A", "B", "alpha", "E"}
                                  : std::vector<std::string>{"A", "B", "alpha", "beta", "E"};
  return {{.log_a = x[0], .alpha = x[2], .log_b = x[1], .beta = x[objective.beta()], .e = x.back()},
          found.value,
          names_of(on_bound(x, bounds), names)};
}

Fitted<LossLaw> fit_compute_law(const std::vector<LossPoint>& points, const LossFitOptions& options) {
  const LossObjective objective{logarithms(points), options, true};
  const Bounds bounds{{0, 0, 0}, {kUnbounded, 1, kUnbounded}};
  std::vector<double> start = {3, .1, 1};
  if (options.warm_start) start = {options.warm_start->log_a, options.warm_start->alpha, options.warm_start->e};
  const Minimum found = minimize_newton(objective, {start}, bounds, {.tolerance = options.warm_start ? 1e-7 : 0});
  const auto& x = found.x;
  return {{.log_a = x[0], .alpha = x[1], .e = x[2]}, found.value, names_of(on_bound(x, bounds), {"A", "alpha", "E"})};
}

Fitted<Sigmoid> fit_sigmoid(const std::vector<AccuracyPoint>& points, double chance, const Sigmoid* warm_start) {
  const auto objective = [&](std::span<const double> x, std::span<double> gradient, std::span<double> curvature) {
    const double a = x[0], l0 = x[1], k = x[2], b = x[3];
    double sum = 0, by_a = 0, by_l0 = 0, by_k = 0, by_b = 0;
    double aa = 0, al = 0, ak = 0, ab = 0, ll = 0, lk = 0, lb = 0, kk = 0, kb = 0, bb = 0;  // Gauss and Newton's matrix
    for (const AccuracyPoint& point : points) {
      const double away = point.loss - l0, s = 1 / (1 + std::exp(-k * away));
      const double residual = a * s + b - point.accuracy, slope = point.weight * residual;
      const double steep = a * s * (1 - s), by_z = steep * away, by_center = -k * steep;
      sum += 0.5 * slope * residual;
      by_a += slope * s;
      by_l0 += slope * by_center;
      by_k += slope * by_z;
      by_b += slope;
      const double weighted_s = point.weight * s, center = point.weight * by_center, z = point.weight * by_z;
      aa += weighted_s * s;
      al += weighted_s * by_center;
      ak += weighted_s * by_z;
      ab += weighted_s;
      ll += center * by_center;
      lk += center * by_z;
      lb += center;
      kk += z * by_z;
      kb += z;
      bb += point.weight;
    }
    gradient[0] = by_a;
    gradient[1] = by_l0;
    gradient[2] = by_k;
    gradient[3] = by_b;
    const double matrix[] = {aa, al, ak, ab, al, ll, lk, lb, ak, lk, kk, kb, ab, lb, kb, bb};
    std::copy(std::begin(matrix), std::end(matrix), curvature.begin());
    return sum;
  };
  const Bounds bounds{{-1, 0, 0, 0}, {0, kUnbounded, kUnbounded, 1}};
  std::vector<double> start = {chance - 1, .9, 3, 1};
  if (warm_start) start = {warm_start->a, warm_start->l0, warm_start->k, warm_start->b};
  double total = 0;
  for (const AccuracyPoint& point : points) total += point.weight;
  constexpr double exact = 1e-4;  // residuals of a hundredth of a point are as good as none
  const Minimum found = minimize_newton(
      objective, {start}, bounds, {.tolerance = warm_start ? 1e-8 : 1e-13, .least_value = 0.5 * total * exact * exact});
  const auto& x = found.x;
  return {{x[0], x[1], x[2], x[3]}, found.value, names_of(on_bound(x, bounds), {"a", "L0", "k", "b"})};
}

Fitted<Sigmoid> fit_log_sigmoid(const std::vector<AccuracyPoint>& points) {
  const auto objective = [&](std::span<const double> x, std::span<double> gradient) {
    std::fill(gradient.begin(), gradient.end(), 0.0);
    double sum = 0;
    for (const AccuracyPoint& point : points) {
      const double z = x[2] * (point.loss - x[1]), grown = softplus(z), s = 1 / (1 + std::exp(-z));
      const double residual = 1 + x[0] * grown - point.accuracy, slope = point.weight * residual;
      sum += 0.5 * slope * residual;
      gradient[0] += slope * grown;
      gradient[1] -= slope * x[0] * s * x[2];
      gradient[2] += slope * x[0] * s * (point.loss - x[1]);
    }
    return sum;
  };
  const Bounds bounds{{-kUnbounded, 0, 0}, {0, kUnbounded, kUnbounded}};
  const Minimum found = minimize(objective, {-.1, .9, 3}, bounds, {.restarts = 1, .tolerance = 1e-8});
  const auto& x = found.x;
  return {{x[0], x[1], x[2], 1, true}, found.value, names_of(on_bound(x, bounds), {"a", "L0", "k"})};
}

Fitted<SingleStepLaw> fit_single_step(const std::vector<LossPoint>& points, double chance) {
  const std::vector<LogPoint> logs = logarithms(points);
  const auto objective = [&](std::span<const double> x, std::span<double> gradient) {
    std::fill(gradient.begin(), gradient.end(), 0.0);
    double sum = 0;
    for (const LogPoint& point : logs) {
      const double size = std::exp(x[0] - x[2] * point.log_n), data = std::exp(x[1] - x[3] * point.log_d);
      const double s = 1 / (1 + std::exp(-(size + data + x[4])));
      const double predicted = std::max(1e-6, x[5] * s + x[6]);
      const Huber huber(std::log(predicted) - point.log_loss, 1e-3);
      const double slope = huber.slope / predicted, steep = slope * x[5] * s * (1 - s);
      sum += huber.value;
      gradient[0] += steep * size;
      gradient[1] += steep * data;
      gradient[2] -= steep * size * point.log_n;
      gradient[3] -= steep * data * point.log_d;
      gradient[4] += steep;
      gradient[5] += slope * s;
      gradient[6] += slope;
    }
    return sum;
  };
  const Bounds bounds{{0, 0, 0, 0, -kUnbounded, -1, 0},
                      {kUnbounded, kUnbounded, kUnbounded, kUnbounded, kUnbounded, 0, 1}};
  std::vector<std::vector<double>> starts;
  for (const double exponent : {.1, .3, .5}) {
    const double size = exponent * logs[0].log_n, data = exponent * logs[0].log_d;
    for (const double e : {-2.0, 0.0}) starts.push_back({size, data, exponent, exponent, e, chance - 1, 1});
  }
  starts.push_back({3, 5, .2, .3, 0, chance - 1, 1});
  const Minimum found = minimize_from(objective, starts, bounds);
  const auto& x = found.x;
  return {{{.log_a = x[0], .alpha = x[2], .log_b = x[1], .beta = x[3], .e = x[4]}, x[5], x[6]},
          found.value,
          names_of(on_bound(x, bounds), {"A", "B", "alpha", "beta", "E", "p", "q"})};
}

}  // namespace tessera::plan
