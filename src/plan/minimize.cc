// NLopt's SLSQP: a dense quasi-Newton method with bounds, which suits two to eight parameters.
#include "plan/minimize.h"

#include <nlopt.h>

#include <algorithm>
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

std::vector<size_t> on_bound(const std::vector<double>& x, const Bounds& bounds) {
  std::vector<size_t> found;
  for (size_t i = 0; i < x.size(); ++i) {
    const double slack = 1e-9 * std::max(1.0, std::abs(x[i]));
    if (x[i] - bounds.low[i] <= slack || bounds.high[i] - x[i] <= slack) found.push_back(i);
  }
  return found;
}

}  // namespace tessera::plan
