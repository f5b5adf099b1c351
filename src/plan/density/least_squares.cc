// Sums of squares handed to the two minimisers, with J'J for curvature.
#include "plan/density/least_squares.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace tessera::plan {

namespace {

/// J'r into `gradient`.
void write_gradient(const ResidualList& list, std::span<double> gradient) {
  std::fill(gradient.begin(), gradient.end(), 0.0);
  for (size_t row = 0; row < list.values.size(); ++row) {
    for (size_t i = 0; i < list.width; ++i) gradient[i] += list.slopes[row * list.width + i] * list.values[row];
  }
}

/// J'J into `curvature`, row by row.
void write_curvature(const ResidualList& list, std::span<double> curvature) {
  const size_t n = list.width;
  std::fill(curvature.begin(), curvature.end(), 0.0);
  for (size_t row = 0; row < list.values.size(); ++row) {
    const double* slopes = list.slopes.data() + row * n;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) curvature[i * n + j] += slopes[i] * slopes[j];
    }
  }
}

}  // namespace

double ResidualList::half_square() const {
  return 0.5 * std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
}

Minimum refine(const ResidualsAt& residuals, std::vector<double> start, const Bounds& bounds, int evaluations) {
  ResidualList list(start.size());
  const CurvedObjective objective = [&](std::span<const double> x, std::span<double> gradient,
                                        std::span<double> curvature) {
    list.clear();
    residuals(x, list);
    write_gradient(list, gradient);
    write_curvature(list, curvature);
    return list.half_square();
  };
  return minimize_newton(objective, {std::move(start)}, bounds, {.max_evaluations = evaluations});
}

Minimum least_squares(const ResidualsAt& residuals, const std::vector<std::vector<double>>& starts,
                      const Bounds& bounds) {
  ResidualList list(starts.front().size());
  const Objective objective = [&](std::span<const double> x, std::span<double> gradient) {
    list.clear();
    residuals(x, list);
    write_gradient(list, gradient);
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
