// Minimises smooth functions of a few bounded parameters, with second derivatives (Newton) or without (NLopt).
// Deterministic: same start, same answer.
#pragma once

#include <functional>
#include <span>
#include <vector>

namespace tessera::plan {

/// Value at `x`; writes the gradient, which has the size of `x`.
using Objective = std::function<double(std::span<const double> x, std::span<double> gradient)>;

/// The same with second derivatives, or an approximation such as Gauss and Newton's: symmetric, row by row.
using CurvedObjective =
    std::function<double(std::span<const double> x, std::span<double> gradient, std::span<double> curvature)>;

struct Bounds {
  std::vector<double> low, high;  // one per parameter; infinities allowed
};

struct Minimum {
  std::vector<double> x;
  double value = 0;
};

struct MinimizeOptions {
  int max_evaluations = 20000;
  int restarts = 3;        // a fresh quasi-Newton memory from the best point, until that no longer helps
  double tolerance = 0;    // stop below this relative change of the value; 0: as far as doubles go
  double least_value = 0;  // a value below this is as good as none: changes are relative to at least it (Newton alone)
};

/// The nearest local minimum downhill from `start` (clamped into the bounds).
Minimum minimize(const Objective& objective, std::vector<double> start, const Bounds& bounds,
                 const MinimizeOptions& options = {});
/// The best of the minima from several starts.
Minimum minimize_from(const Objective& objective, const std::vector<std::vector<double>>& starts, const Bounds& bounds,
                      const MinimizeOptions& options = {});

/// The best of the minima downhill from each start, by damped Newton steps (Levenberg and Marquardt): fewer evaluations,
/// and nearly nothing between them. At most 8 parameters. Of `options` the restarts are not used.
Minimum minimize_newton(const CurvedObjective& objective, const std::vector<std::vector<double>>& starts,
                        const Bounds& bounds, const MinimizeOptions& options = {});

/// Indices of the parameters that lie on a bound.
std::vector<size_t> on_bound(const std::vector<double>& x, const Bounds& bounds);

}  // namespace tessera::plan
