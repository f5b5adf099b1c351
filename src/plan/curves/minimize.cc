// Two ways downhill, both for two to eight parameters: NLopt's SLSQP, a dense quasi-Newton method with bounds, and
// damped Newton steps, in which parameters that a step would push out of their bounds stay on them.
#include "plan/curves/minimize.h"

#include <nlopt.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>

#include "core/error.h"

namespace tessera::plan {

namespace {

/// What NLopt carries through its C interface. The best point seen is kept here, since a line search may end on a worse.
struct Search {
  const Objective& objective;
  Minimum best;

  static double evaluate(unsigned n, const double* x, double* gradient, void* self) {
    auto& search = *static_cast<Search*>(self);
    double unused[16];
    const double value = search.objective({x, n}, {gradient ? gradient : unused, n});
    if (!std::isfinite(value)) return std::numeric_limits<double>::max();
    if (value < search.best.value) search.best = {{x, x + n}, value};
    return value;
  }
};

constexpr size_t kMost = 8;  // parameters of a Newton search

/// Solves A x = b for a symmetric A, x taking the place of b (Cholesky); false when A is not positive definite.
bool solve(size_t n, std::array<double, kMost * kMost>& a, std::array<double, kMost>& b) {
  for (size_t j = 0; j < n; ++j) {
    double pivot = a[j * n + j];
    for (size_t k = 0; k < j; ++k) pivot -= a[j * n + k] * a[j * n + k];
    if (!(pivot > 1e-14 * std::abs(a[j * n + j]))) return false;
    a[j * n + j] = std::sqrt(pivot);
    for (size_t i = j + 1; i < n; ++i) {
      double sum = a[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = sum / a[j * n + j];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return true;
}

/// Damped Newton steps from one start. The damping is in units of the largest curvature that each parameter has shown.
class NewtonSearch {
 public:
  NewtonSearch(const CurvedObjective& objective, const Bounds& bounds, const MinimizeOptions& options)
      : objective_(objective), bounds_(bounds), options_(options),
        tolerance_(options.tolerance > 0 ? options.tolerance : 1e-15) {}

  Minimum run(const std::vector<double>& start) {
    n_ = start.size();
    for (size_t i = 0; i < n_; ++i) here_.x[i] = std::clamp(start[i], bounds_.low[i], bounds_.high[i]);
    evaluate(here_);
    for (int small = 0; std::isfinite(here_.value) && small < 2;) {
      const double before = here_.value;
      if (!descend()) break;
      small = before - here_.value <= least_gain() ? small + 1 : 0;
    }
    return {{here_.x.begin(), here_.x.begin() + static_cast<std::ptrdiff_t>(n_)}, here_.value};
  }

 private:
  struct Point {
    std::array<double, kMost> x{}, gradient{};
    std::array<double, kMost * kMost> curvature{};
    double value = std::numeric_limits<double>::infinity();
  };

  /// A value that tends to 0 without end, as that of a step through exact points, would go on for ever by itself.
  double least_gain() const { return tolerance_ * std::max(std::abs(here_.value), options_.least_value); }

  void evaluate(Point& point) {
    point.value = objective_({point.x.data(), n_}, {point.gradient.data(), n_}, {point.curvature.data(), n_ * n_});
    ++evaluations_;
  }

  /// Parameters that are off their bounds or drawn away from them.
  size_t find_free() {
    size_t count = 0;
    for (size_t i = 0; i < n_; ++i) {
      scale_[i] = std::max({scale_[i], std::abs(here_.curvature[i * n_ + i]), 1e-300});
      const bool held = (here_.x[i] <= bounds_.low[i] && here_.gradient[i] >= 0) ||
                        (here_.x[i] >= bounds_.high[i] && here_.gradient[i] <= 0);
      if (!held) free_[count++] = i;
    }
    return count;
  }

  /// One step that lowers the value, with as much damping as that takes; false where there is none.
  bool descend() {
    const size_t free = find_free();
    for (; free > 0 && damping_ < 1e16 && evaluations_ < options_.max_evaluations; damping_ *= 4) {
      std::array<double, kMost * kMost> matrix;
      std::array<double, kMost> step;
      for (size_t i = 0; i < free; ++i) {
        step[i] = -here_.gradient[free_[i]];
        for (size_t j = 0; j < free; ++j) matrix[i * free + j] = here_.curvature[free_[i] * n_ + free_[j]];
        matrix[i * free + i] += damping_ * scale_[free_[i]];
      }
      if (!solve(free, matrix, step)) continue;
      double promise = 0;  // twice the gain that the step should bring
      Point there;
      there.x = here_.x;
      for (size_t i = 0; i < free; ++i) {
        const size_t each = free_[i];
        promise -= here_.gradient[each] * step[i];
        there.x[each] = std::clamp(here_.x[each] + step[i], bounds_.low[each], bounds_.high[each]);
      }
      if (there.x == here_.x || (damping_ < 0.01 && promise <= least_gain())) return false;
      evaluate(there);
      if (!(there.value < here_.value)) continue;
      here_ = there;
      damping_ = std::max(damping_ / 5, 1e-12);
      return true;
    }
    return false;
  }

  const CurvedObjective& objective_;
  const Bounds& bounds_;
  const MinimizeOptions& options_;
  double tolerance_, damping_ = 1e-3;
  int evaluations_ = 0;
  size_t n_ = 0;
  Point here_;
  std::array<double, kMost> scale_{};
  std::array<size_t, kMost> free_{};
};

}  // namespace

Minimum minimize(const Objective& objective, std::vector<double> start, const Bounds& bounds,
                 const MinimizeOptions& options) {
  const auto n = static_cast<unsigned>(start.size());
  for (size_t i = 0; i < n; ++i) start[i] = std::clamp(start[i], bounds.low[i], bounds.high[i]);
  Search search{objective, {start, std::numeric_limits<double>::infinity()}};
  const std::unique_ptr<nlopt_opt_s, void (*)(nlopt_opt)> solver(nlopt_create(NLOPT_LD_SLSQP, n), nlopt_destroy);
  nlopt_set_min_objective(solver.get(), Search::evaluate, &search);
  nlopt_set_lower_bounds(solver.get(), bounds.low.data());
  nlopt_set_upper_bounds(solver.get(), bounds.high.data());
  nlopt_set_maxeval(solver.get(), options.max_evaluations);
  nlopt_set_ftol_rel(solver.get(), options.tolerance > 0 ? options.tolerance : 1e-15);
  if (options.tolerance <= 0) nlopt_set_xtol_rel(solver.get(), 1e-14);
  for (int round = 0; round <= options.restarts; ++round) {
    const double before = search.best.value;
    std::vector<double> x = search.best.x;
    double value = 0;
    nlopt_optimize(solver.get(), x.data(), &value);  // its status says how it stopped; the best point is what counts
    const double gain = before - search.best.value;
    if (std::isfinite(before) && !(gain > std::max(options.tolerance, 1e-14) * std::abs(search.best.value))) break;
  }
  if (!std::isfinite(search.best.value)) throw FaultError("[plan] a fit has no finite value at its starting point");
  return search.best;
}

Minimum minimize_from(const Objective& objective, const std::vector<std::vector<double>>& starts, const Bounds& bounds,
                      const MinimizeOptions& options) {
  Minimum best{{}, std::numeric_limits<double>::infinity()};
  for (const auto& start : starts) {
    Minimum found = minimize(objective, start, bounds, options);
    if (found.value < best.value) best = std::move(found);
  }
  return best;
}

Minimum minimize_newton(const CurvedObjective& objective, const std::vector<std::vector<double>>& starts,
                        const Bounds& bounds, const MinimizeOptions& options) {
  Minimum best{{}, std::numeric_limits<double>::infinity()};
  for (const auto& start : starts) {
    Minimum found = NewtonSearch(objective, bounds, options).run(start);
    if (found.value < best.value) best = std::move(found);
  }
  if (!std::isfinite(best.value)) throw FaultError("[plan] a fit has no finite value at its starting point");
  return best;
}

std::vector<size_t> on_bound(const std::vector<double>& x, const Bounds& bounds) {
  std::vector<size_t> found;
  for (size_t i = 0; i < x.size(); ++i) {
    const double slack = 1e-9 * std::max(1.0, std::abs(x[i]));
    if (x[i] - bounds.low[i] <= slack || bounds.high[i] - x[i] <= slack) found.push_back(i);
  }
  return found;
}

}  // namespace tessera::plan
