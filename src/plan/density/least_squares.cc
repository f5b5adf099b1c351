// Levenberg's method with Marquardt's scaling; parameters that a step would push through a bound stop on it.
#include "plan/density/least_squares.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace tessera::plan {

namespace {

/// Solves the symmetric positive system in place by Cholesky; false when it is not positive. `a` is n x n, row-major.
bool solve_positive(std::vector<double>& a, std::vector<double>& b) {
  const size_t n = b.size();
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = a[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      if (i != j) a[i * n + j] = sum / a[j * n + j];
      else if (!(sum > 0)) return false;
      else a[i * n + i] = std::sqrt(sum);
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

/// J'J and J'r of a list, over the parameters in `free`.
struct NormalEquations {
  std::vector<double> matrix, gradient;

  NormalEquations(const ResidualList& list, const std::vector<size_t>& free)
      : matrix(free.size() * free.size(), 0.0), gradient(free.size(), 0.0) {
    const size_t n = free.size();
    for (size_t row = 0; row < list.values.size(); ++row) {
      const double* slopes = list.slopes.data() + row * list.width;
      for (size_t i = 0; i < n; ++i) {
        gradient[i] += slopes[free[i]] * list.values[row];
        for (size_t j = 0; j <= i; ++j) matrix[i * n + j] += slopes[free[i]] * slopes[free[j]];
      }
    }
  }
};

std::vector<double> gradient_of(const ResidualList& list) {
  std::vector<double> gradient(list.width, 0.0);
  for (size_t row = 0; row < list.values.size(); ++row) {
    for (size_t i = 0; i < list.width; ++i) gradient[i] += list.slopes[row * list.width + i] * list.values[row];
  }
  return gradient;
}

/// Parameters that may still move: not on a bound with the gradient pointing through it.
std::vector<size_t> free_parameters(const std::vector<double>& x, const ResidualList& list, const Bounds& bounds) {
  const std::vector<double> gradient = gradient_of(list);
  std::vector<size_t> free;
  for (size_t i = 0; i < x.size(); ++i) {
    const bool held = (x[i] <= bounds.low[i] && gradient[i] > 0) || (x[i] >= bounds.high[i] && gradient[i] < 0);
    if (!held) free.push_back(i);
  }
  return free;
}

}  // namespace

double ResidualList::half_square() const {
  return 0.5 * std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
}

Minimum refine(const ResidualsAt& residuals, std::vector<double> start, const Bounds& bounds, int steps) {
  for (size_t i = 0; i < start.size(); ++i) start[i] = std::clamp(start[i], bounds.low[i], bounds.high[i]);
  ResidualList here(start.size()), there(start.size());
  residuals(start, here);
  Minimum best{start, here.half_square()};
  double damping = 1e-4;
  for (int step = 0; step < steps && damping < 1e12; ++step) {
    const std::vector<size_t> free = free_parameters(best.x, here, bounds);
    NormalEquations normal(here, free);
    const size_t n = free.size();
    for (size_t i = 0; i < n; ++i) normal.matrix[i * n + i] += damping * normal.matrix[i * n + i] + 1e-300;
    std::vector<double> next = best.x;
    if (solve_positive(normal.matrix, normal.gradient)) {
      for (size_t i = 0; i < n; ++i) {
        const size_t at = free[i];
        next[at] = std::clamp(next[at] - normal.gradient[i], bounds.low[at], bounds.high[at]);
      }
    }
    if (next == best.x) {
      damping *= 10;
      continue;
    }
    there.clear();
    residuals(next, there);
    const double value = there.half_square();
    if (!(value < best.value)) {
      damping *= 10;
      continue;
    }
    const bool done = best.value - value < 1e-15 * best.value;
    best = {std::move(next), value};
    std::swap(here, there);
    damping = std::max(damping / 10, 1e-15);
    if (done) break;
  }
  return best;
}

Minimum least_squares(const ResidualsAt& residuals, const std::vector<std::vector<double>>& starts,
                      const Bounds& bounds) {
  ResidualList list(starts.front().size());
  const Objective objective = [&](std::span<const double> x, std::span<double> gradient) {
    list.clear();
    residuals(x, list);
    const std::vector<double> slope = gradient_of(list);
    std::copy(slope.begin(), slope.end(), gradient.begin());
    return list.half_square();
  };
  const MinimizeOptions brief{.max_evaluations = 2000, .restarts = 0, .tolerance = 1e-9};
  Minimum best{{}, std::numeric_limits<double>::infinity()};
  for (const auto& start : starts) {
    Minimum found = refine(residuals, minimize(objective, start, bounds, brief).x, bounds);
    if (found.value < best.value) best = std::move(found);
  }
  return best;
}

}  // namespace tessera::plan
